package app

// relayName is what people see as the relay of pairs that the director's own relay serves.
const relayName = "director"
