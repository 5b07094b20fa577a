package main

import "slices"

// target is a figure of the table: what it is counted in, and what is wanted of it.
type target struct {
	name  string
	unit  string
	most  *float64 // it should be at most that
	least *float64 // it should be at least that
}

func most(v float64) *float64 { return &v }

func least(v float64) *float64 { return &v }

// loadTargets are those of a director with a thousand applications, of daemons at rest, and of a change of code.
var loadTargets = []target{
	{name: "director_1000_rss_mib", unit: "MiB", most: most(150)},
	{name: "director_idle_cpu_percent", unit: "% of a core"},
	{name: "manager_idle_cpu_percent", unit: "% of a core"},
	{name: "agent_idle_cpu_percent", unit: "% of a core"},
	{name: "reconnect_1000_s", unit: "s", most: most(5)},
	{name: "reconnect_director_cpu_s", unit: "s"},
	{name: "reconnect_managers_cpu_s", unit: "s"},
	{name: "reconnect_read_p99_ms", unit: "ms", most: most(1000)},
	{name: "reconnect_read_failed", unit: "requests", most: most(0)},
	{name: "api_reads_per_s", unit: "/s"},
	{name: "api_read_p99_ms", unit: "ms"},
	{name: "certs_per_s", unit: "/s"},
	{name: "deploy_5mb_s", unit: "s"},
	{name: "rolling_failed", unit: "requests", most: most(0)},
	{name: "rolling_p99_ms", unit: "ms"},
}

// imageTargets are those of an image for virtual machines with PHP and MySQL, and of one for containers with PHP.
var imageTargets = []target{
	{name: "image_cold_s", unit: "s"}, // the baseline is bare mmdebstrap with the same packages
	{name: "image_cold_ratio", unit: "times", most: most(1.25)},
	{name: "image_warm_s", unit: "s", most: most(20)},
	{name: "image_vm_mb", unit: "MB", most: most(200)},
	{name: "image_container_mb", unit: "MB", most: most(120)},
	{name: "image_join_bios_s", unit: "s"},
	{name: "image_join_uefi_s", unit: "s"},
	{name: "image_join_container_s", unit: "s"},
}

// databaseTargets are those of a mysql service, and of a blog that uses one.
var databaseTargets = []target{
	{name: "mysql_start_s", unit: "s"},
	{name: "mysql_join_s", unit: "s"},
	{name: "mysql_pause_s", unit: "s"},        // of writes, when the machine that takes them is lost
	{name: "mysql_detected_s", unit: "s"},     // the loss of a machine
	{name: "mysql_replaced_s", unit: "s"},     // until the server in its place has the data
	{name: "mysql_queries_per_s", unit: "/s"}, // the baseline is HAProxy without checks, with the same server
	{name: "mysql_balancer_ratio", unit: "times", least: least(0.95)},
	{name: "wordpress_first_page_s", unit: "s", most: most(30)},
}

// targets are the figures, in the order of the table.
var targets = slices.Concat([]target{
	{name: "container_start_ms", unit: "ms"},
	{name: "container_end_ms", unit: "ms"},
	{name: "process_start_ms", unit: "ms"},
	{name: "process_end_ms", unit: "ms"},
	{name: "first_page_cold_s", unit: "s"},
	{name: "first_page_warm_s", unit: "s"},
	{name: "scale_20_container_s", unit: "s", most: most(8)},
	{name: "scale_20_launched_s", unit: "s"},
	{name: "scale_20_joined_s", unit: "s"},
	{name: "scale_20_ready_s", unit: "s"},
	{name: "scale_50_process_s", unit: "s", most: most(3)},
	{name: "scale_50_launched_s", unit: "s"},
	{name: "scale_50_joined_s", unit: "s"},
	{name: "scale_50_ready_s", unit: "s"},
	{name: "agent_idle_rss_mib", unit: "MiB", most: most(25)},
	{name: "manager_idle_rss_mib", unit: "MiB", most: most(40)},
	{name: "director_idle_rss_mib", unit: "MiB", most: most(80)},
	{name: "overlay_tcp_gbps", unit: "Gbit/s"}, // the baseline is bare wireguard-go
	{name: "overlay_ping_ms", unit: "ms"},
	{name: "nebula_tcp_gbps", unit: "Gbit/s"},
	{name: "overlay_loaded_rss_mib", unit: "MiB", most: most(120)},
	{name: "overlay_peak_rss_mib", unit: "MiB"},
	{name: "mesh_50_s", unit: "s", most: most(0.5)},
	{name: "peers_1000_ms", unit: "ms", most: most(150)},
	{name: "peers_1000_delta_ms", unit: "ms", most: most(150)},
	{name: "cli_start_ms", unit: "ms", most: most(30)},
}, loadTargets, databaseTargets, imageTargets)
