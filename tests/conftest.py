from hypothesis import settings

pytest_plugins = ["tests.parts.certificates", "tests.parts.kafka", "tests.parts.postgres"]

settings.register_profile("untimed", deadline=None)  # a property is true or not, however busy the machine is
settings.load_profile("untimed")
