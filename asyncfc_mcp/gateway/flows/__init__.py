"""Values that go from one server to another: who may, who is asked, and what is noted down."""
