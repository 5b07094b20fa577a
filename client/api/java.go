package api

// Java is the type of the service that runs Java programs.
const Java ServiceType = "java"

// RequestTimeout is the name of the setting of type java that says how long a request may say nothing, in seconds.
const RequestTimeout = "request_timeout"
