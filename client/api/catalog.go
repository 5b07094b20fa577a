package api

import "slices"

// ServiceType names a type of service, for example php.
type ServiceType string

// Role names what a machine does inside a service, for example backend.
type Role string

// ServiceKind is one row of the catalogue: all that director, manager, command line, pages and image
// recipes need to know of a service type.
type ServiceKind struct {
	Type        ServiceType   `json:"type"`
	Description string        `json:"description"`
	Roles       []RoleKind    `json:"roles" doc:"The first is the default role, and the one that is never removed"`
	Settings    []Setting     `json:"settings,omitempty"`
	Code        bool          `json:"code,omitempty" doc:"It runs code that its owner uploads in versions"`
	Hosting     bool          `json:"hosting,omitempty" doc:"It runs that code in the roles proxy, web and backend, of which the last two can be packed on the only machine of the first"`
	Link        *LinkKind     `json:"link,omitempty" doc:"What it offers to other services of its application"`
	Secrets     []SecretKind  `json:"secrets,omitempty" doc:"That the director makes for each service"`
	Actions     []ActionKind  `json:"actions,omitempty" doc:"What one of its machines can be told to do while the caller waits"`
	Commands    []CommandKind `json:"commands,omitempty" doc:"What its machines can be told to do once"`
}

// RoleKind is one role of a service type.
type RoleKind struct {
	Role        Role                `json:"role"`
	Description string              `json:"description"`
	Start       int                 `json:"start" doc:"Dedicated machines of a new service"`
	Min         int                 `json:"min" doc:"Fewest dedicated machines; 0: the role can be packed on the first machine"`
	Max         int                 `json:"max,omitempty" doc:"Most dedicated machines; 0: any number"`
	Packages    map[string][]string `json:"packages" doc:"Packages per distribution, for example debian-12"`
	Logs        []LogFile           `json:"logs,omitempty" doc:"What its programs write on a machine that has the role"`
	Volume      *VolumeKind         `json:"volume,omitempty" doc:"The volume that every machine of the role has"`
}

// LogFile is one log of a role.
type LogFile struct {
	Name string  `json:"name" doc:"As of cps node log NODE NAME"`
	Kind LogKind `json:"kind"`
}

// LogKind says what is in a log.
type LogKind string

// The kinds of logs.
const (
	LogAgent  LogKind = "agent"  // of ConPaaS itself, on every machine: what it does there, and why it fails
	LogError  LogKind = "error"  // what programs say of themselves, their errors above all
	LogAccess LogKind = "access" // a line for each request
)

// Setting is one thing that a user can set on a service.
type Setting struct {
	Name    string      `json:"name"`
	Help    string      `json:"help"`
	Default string      `json:"default"`
	Kind    SettingKind `json:"kind,omitempty" doc:"What its values look like; empty: any text"`
	Min     string      `json:"min,omitempty" doc:"Of numbers and sizes: the smallest value"`
	Max     string      `json:"max,omitempty" doc:"Of numbers and sizes: the largest value"`
	AtLeast string      `json:"at_least,omitempty" doc:"Another setting of the type whose value it must not be below"`
}

// SettingKind says what the values of a setting look like.
type SettingKind string

// The kinds of settings.
const (
	SettingText   SettingKind = ""       // any text
	SettingNumber SettingKind = "number" // a whole number, for example 30
	SettingSize   SettingKind = "size"   // bytes, with the units K, M and G of 1024 each, for example 128M
	SettingSwitch SettingKind = "switch" // On or Off
	SettingNames  SettingKind = "names"  // identifiers with commas between them, or nothing
)

// The values of a switch.
const (
	SwitchOn  = "On"
	SwitchOff = "Off"
)

// Debian12 is the key of RoleKind.Packages for the distribution that images are made of.
const Debian12 = "debian-12"

// catalogue has every service type, in the order in which they are shown.
var catalogue = []ServiceKind{
	{
		Type:        Helloworld,
		Description: "One web page per machine: the template for authors of services",
		Roles: []RoleKind{{
			Role: HelloworldNode, Description: "serves the page with nginx", Start: 1, Min: 1,
			Packages: map[string][]string{Debian12: {"nginx-light"}},
			Logs:     []LogFile{{"nginx", LogError}},
		}},
		Link:     &LinkKind{Prefix: "HELLOWORLD", Port: 8080},
		Settings: []Setting{{Name: "greeting", Help: "The text of the page", Default: "Hello, world"}},
	},
	{
		Type:        PHP,
		Description: "PHP programs behind HAProxy and nginx, with sessions in Redis",
		Roles: []RoleKind{
			{
				Role: RoleProxy, Description: "takes the requests with HAProxy; the first one keeps the sessions", Start: 1, Min: 1,
				Packages: map[string][]string{Debian12: {"haproxy", "redis-server"}},
				Logs:     []LogFile{{"haproxy", LogError}, {"redis", LogError}},
			},
			{
				Role: RoleWeb, Description: "serves static files with nginx",
				Packages: map[string][]string{Debian12: {"nginx-light"}},
				Logs:     []LogFile{{"nginx", LogError}, {"nginx-access", LogAccess}},
			},
			{
				Role: RoleBackend, Description: "runs the PHP programs with php-fpm",
				Packages: map[string][]string{Debian12: {
					"php8.2-fpm", "php8.2-cli", "php-redis", "php8.2-xml", "php8.2-mysql", "php8.2-curl", "php8.2-gd", "php8.2-mbstring", "php8.2-zip", "php8.2-opcache",
				}},
				Logs: []LogFile{{"php-fpm", LogError}, {"php-fpm-access", LogAccess}},
			},
		},
		Settings: []Setting{
			{Name: "max_execution_time", Help: "Seconds that a request may run", Default: "30", Kind: SettingNumber, Min: "1", Max: "3600"},
			{Name: "memory_limit", Help: "Memory that a request may use", Default: "128M", Kind: SettingSize, Min: "16M", Max: "4G"},
			{Name: "upload_max_filesize", Help: "Largest file that may be uploaded", Default: "2M", Kind: SettingSize, Min: "1K", Max: "2G"},
			{Name: "post_max_size", Help: "Largest POST request", Default: "8M", Kind: SettingSize, Min: "1K", Max: "4G", AtLeast: "upload_max_filesize"},
			{Name: "log_errors", Help: "Whether errors are written to the log", Default: "On", Kind: SettingSwitch},
			{Name: "display_errors", Help: "Whether pages show errors", Default: "Off", Kind: SettingSwitch},
			{Name: "disable_functions", Help: "Functions of PHP that programs may not call", Default: "", Kind: SettingNames},
		},
		Code: true, Hosting: true,
		Secrets: []SecretKind{{Name: "sessions", Help: "By which the machines use the store of the sessions"}},
	},
	{
		Type:        Java,
		Description: "Java programs (.war) in Tomcat behind HAProxy and nginx, with sessions in Redis",
		Roles: []RoleKind{
			{
				Role: RoleProxy, Description: "takes the requests with HAProxy; the first one keeps the sessions", Start: 1, Min: 1,
				Packages: map[string][]string{Debian12: {"haproxy", "redis-server"}},
				Logs:     []LogFile{{"haproxy", LogError}, {"redis", LogError}},
			},
			{
				Role: RoleWeb, Description: "serves static files with nginx",
				Packages: map[string][]string{Debian12: {"nginx-light"}},
				Logs:     []LogFile{{"nginx", LogError}, {"nginx-access", LogAccess}},
			},
			{
				Role: RoleBackend, Description: "runs the Java programs with Tomcat",
				Packages: map[string][]string{Debian12: {"nginx-light", "openjdk-17-jre-headless", "tomcat10", "tomcat-jakartaee-migration"}},
				Logs:     []LogFile{{"catalina", LogError}, {"nginx-backend", LogError}, {"tomcat-access", LogAccess}},
			},
		},
		Settings: []Setting{
			{Name: "max_heap", Help: "Memory for the objects of the program", Default: "128M", Kind: SettingSize, Min: "64M", Max: "64G"},
			{Name: "max_threads", Help: "Requests that each backend works on at once", Default: "100", Kind: SettingNumber, Min: "4", Max: "1000"},
			{Name: "max_post_size", Help: "Largest form that Tomcat reads into parameters", Default: "8M", Kind: SettingSize, Min: "1K", Max: "1G"},
			{Name: RequestTimeout, Help: "Seconds that a request may say nothing", Default: "60", Kind: SettingNumber, Min: "1", Max: "3600"},
		},
		Code: true, Hosting: true,
		Secrets: []SecretKind{{Name: "sessions", Help: "By which the machines use the store of the sessions"}},
	},
	{
		Type:        MySQL,
		Description: "MariaDB databases that every machine has (Galera), behind HAProxy",
		Roles: []RoleKind{
			{
				Role: RoleMySQL, Description: "keeps all the data with MariaDB", Start: 1, Min: 1,
				Volume:   &VolumeKind{Name: "data", SizeMiB: 1024},
				Packages: map[string][]string{Debian12: {"mariadb-server", "mariadb-backup", "galera-4", "socat"}},
				Logs:     []LogFile{{"mysqld", LogError}, {"mysqld-slow", LogAccess}},
			},
			{
				Role: RoleGLB, Description: "takes the connections of programs with HAProxy; without machines of its own on those of role mysql",
				Packages: map[string][]string{Debian12: {"haproxy"}},
				Logs:     []LogFile{{"haproxy", LogError}},
			},
		},
		Settings: []Setting{
			{Name: "innodb_buffer_pool_size", Help: "Memory for data and indexes on each machine", Default: "128M", Kind: SettingSize, Min: "16M", Max: "64G"},
			{Name: "max_connections", Help: "Connections that a server takes at once", Default: "151", Kind: SettingNumber, Min: "10", Max: "4000"},
			{Name: "max_allowed_packet", Help: "Largest statement or row", Default: "64M", Kind: SettingSize, Min: "1M", Max: "1G"},
			{Name: "slow_query_log", Help: "Whether statements that take long are written to a log", Default: "Off", Kind: SettingSwitch},
			{Name: "long_query_time", Help: "Seconds from which on a statement takes long", Default: "10", Kind: SettingNumber, Min: "1", Max: "3600"},
			{Name: VolumeSize, Help: "MiB of the volume of each new machine", Default: "1024", Kind: SettingNumber, Min: "512", Max: "16777216"},
			{Name: "spread", Help: "Whether connections are shared among all servers; else one server takes them all, and no two changes can conflict", Default: "Off", Kind: SettingSwitch},
		},
		Link:    &LinkKind{Prefix: "MYSQL", Port: MySQLPort, User: MySQLUser, Secret: "password"},
		Secrets: []SecretKind{{Name: "password", Help: "Of the database's user " + MySQLUser + ", by which programs log in", Settable: true}},
		Actions: []ActionKind{
			{Name: MySQLDump, Help: "Write all databases as SQL", Role: RoleMySQL, Output: true},
			{Name: MySQLLoadDump, Help: "Run a dump, or any SQL", Role: RoleMySQL, Input: true, Params: []Setting{
				{Name: ParamNew, Help: "Only where there is no database yet", Default: "Off", Kind: SettingSwitch},
			}},
		},
	},
	{
		Type:        Generic,
		Description: "Scripts of its owner, on a master and any number of nodes",
		Roles: []RoleKind{
			{
				Role: RoleMaster, Description: "runs the scripts; the machine whose address all know", Start: 1, Min: 1, Max: 1,
				Packages: map[string][]string{Debian12: {"curl", "socat"}},
				Logs:     []LogFile{{"agent-out", LogError}, {"agent-err", LogError}},
			},
			{
				Role: RoleNode, Description: "runs the scripts",
				Packages: map[string][]string{Debian12: {"curl", "socat"}},
				Logs:     []LogFile{{"agent-out", LogError}, {"agent-err", LogError}},
			},
		},
		Settings: []Setting{
			{Name: "run_as_root", Help: "Whether the scripts run as root", Default: SwitchOff, Kind: SettingSwitch},
			{Name: "script_timeout", Help: "Seconds after which a script is killed, 0 for never", Default: "0", Kind: SettingNumber, Min: "0", Max: "2592000"},
		},
		Code: true,
		Commands: []CommandKind{
			{Name: GenericRun, Help: "Run run.sh on every machine", When: CommandIdle},
			{Name: GenericInterrupt, Help: "Run interrupt.sh on every machine where a script runs; what still runs at the second time is killed", When: CommandBusy},
			{Name: GenericCleanup, Help: "Run cleanup.sh on every machine", When: CommandIdle},
		},
	},
}

// Catalogue gives a copy of every service type, in the order in which they are shown.
func Catalogue() []ServiceKind { return slices.Clone(catalogue) }

// FindServiceKind gives the row of a type.
func FindServiceKind(t ServiceType) (ServiceKind, bool) {
	i := slices.IndexFunc(catalogue, func(k ServiceKind) bool { return k.Type == t })
	if i < 0 {
		return ServiceKind{}, false
	}
	return catalogue[i], true
}

// FindRole gives the row of a role of the type.
func (k ServiceKind) FindRole(r Role) (RoleKind, bool) {
	i := slices.IndexFunc(k.Roles, func(kind RoleKind) bool { return kind.Role == r })
	if i < 0 {
		return RoleKind{}, false
	}
	return k.Roles[i], true
}

// LogNames gives the logs of a kind that these roles of the type write.
func (k ServiceKind) LogNames(kind LogKind, roles []Role) (names []string) {
	for _, r := range k.Roles {
		for _, l := range r.Logs {
			if l.Kind == kind && slices.Contains(roles, r.Role) {
				names = append(names, l.Name)
			}
		}
	}
	return names
}

// RoleNames gives the roles of the type, the default one first.
func (k ServiceKind) RoleNames() []Role {
	names := make([]Role, len(k.Roles))
	for i, r := range k.Roles {
		names[i] = r.Role
	}
	return names
}
