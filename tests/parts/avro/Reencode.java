import java.util.Base64;
import java.util.HexFormat;
import java.util.Scanner;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.avro.message.BinaryMessageEncoder;

/** Reads lines of schema (base64) and payload (hex); writes each record again as Avro for Java encodes it. */
public class Reencode {
    public static void main(String[] arguments) throws Exception {
        Scanner lines = new Scanner(System.in);
        while (lines.hasNext()) {
            Schema schema = new Schema.Parser().parse(new String(Base64.getDecoder().decode(lines.next()), "UTF-8"));
            byte[] payload = HexFormat.of().parseHex(lines.next());
            GenericRecord read = new BinaryMessageDecoder<GenericRecord>(new GenericData(), schema).decode(payload);
            java.nio.ByteBuffer buffer = new BinaryMessageEncoder<GenericRecord>(new GenericData(), schema).encode(read);
            byte[] written = new byte[buffer.remaining()];
            buffer.get(written);
            System.out.println(HexFormat.of().formatHex(written));
        }
    }
}
