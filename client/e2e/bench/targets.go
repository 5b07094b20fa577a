package main

// target is a figure of the table: what it is counted in, and what is wanted of it.
type target struct {
	name  string
	unit  string
	most  *float64 // it should be at most that
	least *float64 // it should be at least that
}

func most(v float64) *float64 { return &v }

// targets are the figures, in the order of the table.
var targets = []target{
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
}
