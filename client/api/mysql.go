package api

import "net/netip"

// MySQL is the type of the service that keeps databases in a MariaDB cluster.
const MySQL ServiceType = "mysql"

// The roles of a mysql service.
const (
	RoleMySQL Role = "mysql" // MariaDB with Galera: every machine has all the data
	RoleGLB   Role = "glb"   // HAProxy: takes the connections of programs; packed on the mysql machines while it has none of its own
)

// What a mysql service is reached by.
const (
	MySQLPort = 3306      // TCP port of HAProxy on the machines that take connections
	MySQLUser = "mysqldb" // the database's user for programs
)

// The actions of a mysql service.
const (
	MySQLDump     = "dump"      // all databases as SQL
	MySQLLoadDump = "load-dump" // runs SQL
)

// MySQLConfig is the RoleSpec.Config of role mysql.
type MySQLConfig struct {
	Cluster   string            `json:"cluster" doc:"Name of the cluster, the same on all its machines and of no other"`
	Listen    netip.AddrPort    `json:"listen" doc:"Overlay address and port of the database server"`
	Check     netip.AddrPort    `json:"check" doc:"Overlay address and port of the program that tells HAProxy whether the server may be used"`
	Members   []netip.Addr      `json:"members" doc:"Overlay addresses of the machines of the role, its own included; sorted"`
	Start     bool              `json:"start,omitempty" doc:"The server may be started; one that runs goes on without it"`
	Halt      bool              `json:"halt,omitempty" doc:"End the server, unless it is in a cluster that takes changes: it does not know the one that is to be begun"`
	Bootstrap uint64            `json:"bootstrap,omitempty" doc:"Begin the cluster here, unless the bootstrap of this number has been begun before; 0: do not"`
	From      string            `json:"from,omitempty" doc:"Beside Bootstrap: the position that this was decided upon; with another one the cluster is not begun here"`
	Password  Secret            `json:"password" doc:"Of MySQLUser"`
	Settings  map[string]string `json:"settings" doc:"As in the catalogue, checked by the director"`
}

// MySQLProxyConfig is the RoleSpec.Config of role glb.
type MySQLProxyConfig struct {
	Listen  netip.AddrPort `json:"listen" doc:"Overlay address and port"`
	Check   uint16         `json:"check" doc:"Port of the check program of each server"`
	Servers []Server       `json:"servers" doc:"Database servers, in order: the first that is usable takes all connections"`
	Spread  bool           `json:"spread,omitempty" doc:"Share connections among all servers instead"`
}

// MySQLFacts are the RoleStatus.Facts of role mysql.
type MySQLFacts struct {
	Position    string       `json:"position,omitempty" doc:"UUID:number of the last change that its data has; MySQLNoData where there is none; empty while it is not known"`
	State       string       `json:"state,omitempty" doc:"In Galera's words: Synced, Donor/Desynced, Joining: …; or one of the MySQLState…"`
	Primary     bool         `json:"primary" doc:"It is in the part of the cluster that takes changes"`
	ClusterSize int          `json:"cluster_size" doc:"Machines in its part of the cluster"`
	ClusterUUID string       `json:"cluster_uuid,omitempty" doc:"Of the history of changes"`
	Queue       int          `json:"queue" doc:"Changes of other machines that wait to be applied here"`
	Queries     uint64       `json:"queries" doc:"Statements since the server was started"`
	Knows       []netip.Addr `json:"knows,omitempty" doc:"Overlay addresses of the members that it was told of when it was started"`
	Bootstraps  uint64       `json:"bootstraps" doc:"Number of the newest bootstrap that was begun on this machine"`
	Free        int64        `json:"free" doc:"Bytes that its volume has left for data"`
	Full        bool         `json:"full" doc:"That is so little that changes are refused"`
}

// States of a server that Galera does not tell.
const (
	MySQLStateStopped   = "Stopped"   // it does not run
	MySQLStateBeginning = "Beginning" // it begins the cluster, and does not answer yet
	MySQLStateStarting  = "Starting"  // it looks for the cluster or receives its data, and does not answer yet
)

// MySQLNoData is the position of data that has no change of any cluster.
const MySQLNoData = "00000000-0000-0000-0000-000000000000:-1"
