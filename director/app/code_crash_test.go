package app_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// Whatever a director was writing when it crashed, the next one goes on: what is enabled is served, what is broken is
// refused, and of what was deleted nothing is left.
func TestCodeSurvivesCrashes(t *testing.T) {
	t.Parallel()
	for _, point := range []string{
		"code.added/before", "code.added/after", "service.code/before", "service.code/after", "code.serves/before", "code.serves/after",
		"code.refused/before", "code.refused/after", "code.deleted/before", "code.deleted/after", "service.configure/before", "service.configure/after",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			l := &codeLife{t: t, dir: t.TempDir(), cloud: directortest.NewCloud(), crash: &crasher{at: point}}
			t.Cleanup(l.cloud.Close)
			l.cloud.RefuseCode(func(version string) string {
				if version == l.broken.Load() {
					return "n2: syntax error"
				}
				return ""
			})
			for i, phase := range []func() error{l.begin, l.serve, l.refuse, l.configure, l.delete} {
				for err := phase(); err != nil; err = phase() {
					if !l.crash.crashed.Load() {
						t.Fatalf("phase %d: %v", i, err)
					}
					_ = l.d.Stop() // says that it has crashed
					l.d, l.crash.at = nil, ""
					l.crash.crashed.Store(false)
				}
			}
			versions, _ := l.versions()
			if n := blobsOf(t, l.d); len(versions) != 2 || n != 1 || !versions[1].Enabled {
				t.Errorf("left are %d archives of %+v", n, versions)
			}
			_ = l.d.Stop() // which may come before it has begun to run
			if !slices.Contains(l.crash.seen, point) {
				t.Errorf("there is no failpoint %s", point)
			}
		})
	}
}

// codeLife is a service whose code changes. Each phase is what a user would do again after the director was down.
type codeLife struct {
	t      *testing.T
	dir    string
	cloud  *directortest.Cloud
	crash  *crasher
	d      *directortest.Director
	broken atomic.Value // the id of the version that machines refuse
}

func (l *codeLife) open() (err error) {
	if l.d == nil {
		l.d, err = directortest.Open(l.t, directortest.Options{Dir: l.dir, Cloud: l.cloud, Failpoint: l.crash.failpoint})
	}
	return err
}

func (l *codeLife) begin() error {
	if err := l.open(); err != nil {
		return err
	}
	_, err := l.d.CreateApplication(l.t.Context(), l.d.Admin(), api.ApplicationCreate{Name: "shop"})
	if err == nil {
		_, err = l.d.AddService(l.t.Context(), l.d.Admin(), "shop", api.ServiceCreate{Type: api.PHP})
	}
	if err == nil {
		_, err = l.d.StartService(l.t.Context(), l.d.Admin(), "shop", "php")
	}
	return err
}

func (l *codeLife) versions() ([]api.CodeVersion, error) {
	list, err := l.d.CodeVersions(l.t.Context(), l.d.Admin(), "shop", "php", app.Page{})
	return list.Items, err
}

// have uploads the version of that description unless it is there.
func (l *codeLife) have(description string) (v api.CodeVersion, err error) {
	if err = l.open(); err != nil {
		return v, err
	}
	versions, err := l.versions()
	if i := slices.IndexFunc(versions, func(v api.CodeVersion) bool { return v.Description == description }); err != nil || i >= 0 {
		return versions[max(i, 0)], err
	}
	data := archiveOf(l.t, "index.php", description)
	return l.d.UploadCode(l.t.Context(), l.d.Admin(), "shop", "php", app.CodeUpload{Description: description, Size: int64(len(data)), Body: bytes.NewReader(data)})
}

// become waits until a version is as it is to be.
func (l *codeLife) become(id string, is func(v api.CodeVersion) bool) error {
	return l.crash.await(l.t, "version "+id+" is as it is to be", func() error {
		versions, err := l.versions()
		if err == nil && !slices.ContainsFunc(versions, func(v api.CodeVersion) bool { return v.ID == id && is(v) }) {
			err = fmt.Errorf("there are %+v", versions)
		}
		return err
	})
}

func (l *codeLife) serve() error {
	v, err := l.have("good")
	if err == nil {
		_, err = l.d.EnableCode(l.t.Context(), l.d.Admin(), "shop", "php", api.CodeEnable{Version: v.ID})
	}
	if err != nil {
		return err
	}
	return l.become(v.ID, func(v api.CodeVersion) bool { return v.Enabled })
}

func (l *codeLife) refuse() error {
	v, err := l.have("broken")
	if err != nil {
		return err
	}
	l.broken.Store(v.ID)
	if _, err := l.d.EnableCode(l.t.Context(), l.d.Admin(), "shop", "php", api.CodeEnable{Version: v.ID}); err != nil {
		return err
	}
	return l.become(v.ID, func(v api.CodeVersion) bool { return !v.Wanted && !v.Enabled && v.Reason == "n2: syntax error" })
}

func (l *codeLife) configure() error {
	if err := l.open(); err != nil {
		return err
	}
	op, err := l.d.ConfigureService(l.t.Context(), l.d.Admin(), "shop", "php", api.SettingsChange{Settings: map[string]string{"memory_limit": "64M"}})
	if err == nil && !l.crash.crashed.Load() {
		l.d.Finish(l.t, op)
	}
	return err
}

func (l *codeLife) delete() error {
	if err := l.open(); err != nil {
		return err
	}
	err := l.d.DeleteCode(l.t.Context(), l.d.Admin(), "shop", "php", l.broken.Load().(string))
	if api.CodeFrom(err) == api.CodeNotFound {
		return nil
	}
	return err
}
