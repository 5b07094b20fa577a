package app

import "conpaas/client/api"

// blobsOf gives the blobs that a spec names: those that come from the director, to be passed on to agents.
func blobsOf(spec api.ManagerSpec) []string {
	var named []string
	for _, s := range spec.Application.Services {
		if s.Code == nil {
			continue
		}
		for _, v := range s.Code.Versions {
			named = append(named, v.SHA256)
		}
	}
	return named
}
