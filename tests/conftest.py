pytest_plugins = ["tests.parts.kafka", "tests.parts.postgres"]
