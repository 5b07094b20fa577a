package api

// Java is the type of the service that runs Java programs.
const Java ServiceType = "java"
