"""How clients reach the gateway. All transports run the same handlers."""
