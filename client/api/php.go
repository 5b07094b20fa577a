package api

// PHP is the type of the service that runs PHP programs.
const PHP ServiceType = "php"
