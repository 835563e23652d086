pytest_plugins = ["tests.parts.kafka"]
