pytest_plugins = ["tests.parts.certificates", "tests.parts.kafka", "tests.parts.postgres"]
