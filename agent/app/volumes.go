package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"

	"conpaas/agent/service"
	"conpaas/client/api"
)

const (
	mountedFile = stateDir + "/mounted.json" // the volumes that this agent has mounted
	maxVolumes  = 64
)

var (
	volumeName = regexp.MustCompile(`^` + api.VolumeNameForm + `$`)
	volumeID   = regexp.MustCompile(`^v[0-9]{1,19}$`)
	deviceName = regexp.MustCompile(`^/dev/[A-Za-z0-9][A-Za-z0-9_./-]{0,200}$`)
)

func checkVolumes(volumes []api.VolumeMount) error {
	if len(volumes) > maxVolumes {
		return api.InField("volumes", "%d volumes; at most %d are allowed", len(volumes), maxVolumes)
	}
	seen := map[string]bool{}
	for _, v := range volumes {
		switch {
		case !volumeID.MatchString(string(v.ID)) || !volumeName.MatchString(v.Name):
			return api.InField("volumes", "%.80q (%.80q) is no volume", v.Name, v.ID)
		case v.Path != path.Join(api.VolumeDir, v.Name):
			return api.InField("volumes", "volume %s is to be mounted at %.200q, not below %s", v.Name, v.Path, api.VolumeDir)
		case v.Device != "" && (!deviceName.MatchString(v.Device) || path.Clean(v.Device) != v.Device):
			return api.InField("volumes", "volume %s has the device %.200q", v.Name, v.Device)
		case seen[v.Name]:
			return api.InField("volumes", "volume %s is listed twice", v.Name)
		}
		seen[v.Name] = true
	}
	return nil
}

// mount mounts the volumes of the spec that the cloud has not mounted. Those that are there in the end are for the roles; the error
// says what of the others is wrong, or awaited.
func (w *worker) mount(ctx context.Context, volumes []api.VolumeMount) error {
	var there []api.VolumeMount
	defer func() { w.a.mounted.Store(&there) }()
	var errs []error
	for _, v := range volumes {
		if err := w.mountOne(ctx, v); err != nil {
			errs = append(errs, fmt.Errorf("volume %s: %w", v.Name, err))
			continue
		}
		v.Path = filepath.Join("/", w.a.host.Root(), v.Path)
		there = append(there, v)
	}
	return errors.Join(errs...)
}

func (w *worker) mountOne(ctx context.Context, v api.VolumeMount) error {
	is, err := w.a.host.Mounted(v.Path)
	switch {
	case err != nil || is:
		return err
	case v.Device == "":
		return &service.Waiting{For: "the cloud has not mounted it at " + v.Path, Busy: true}
	}
	// Noted first: what is mounted and not noted would never be let go.
	if err := w.a.noteMounted(append(w.a.mountedHere(), v)); err != nil {
		return err
	}
	return w.a.host.Mount(ctx, v.Device, v.Path)
}

// unmount lets the volumes go that are not in the spec any more, after the roles that used them have been changed.
func (w *worker) unmount(volumes []api.VolumeMount) error {
	var errs []error
	var left []api.VolumeMount
	for _, v := range w.a.mountedHere() {
		if slices.Contains(left, v) {
			continue
		}
		if slices.ContainsFunc(volumes, func(other api.VolumeMount) bool { return other.ID == v.ID }) {
			left = append(left, v)
			continue
		}
		if err := w.a.host.Unmount(v.Path); err != nil {
			errs, left = append(errs, err), append(left, v)
		}
	}
	if err := w.a.noteMounted(left); err != nil {
		errs = append(errs, err)
	}
	ids := volumeIDs(left)
	w.a.board.change(func(s *api.NodeStatus) { s.Volumes = ids })
	return errors.Join(errs...)
}

func volumeIDs(list []api.VolumeMount) []api.VolumeID {
	ids := make([]api.VolumeID, len(list))
	for i, v := range list {
		ids[i] = v.ID
	}
	return ids
}

// mountedHere gives the volumes that this agent has mounted, or was about to.
func (a *App) mountedHere() (list []api.VolumeMount) {
	data, err := a.host.State().Read(mountedFile, maxSpecFile)
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("it is not known which volumes were mounted", "err", err)
	}
	return list
}

func (a *App) noteMounted(list []api.VolumeMount) error {
	if len(list) == 0 {
		return a.host.State().Remove(mountedFile)
	}
	data, err := json.Marshal(list)
	if err == nil {
		_, err = a.host.State().Write(mountedFile, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note what is mounted: %w", err)
	}
	return nil
}
