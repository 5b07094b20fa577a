package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// person makes a user.
func person(t *testing.T, d *directortest.Director, name string) app.Actor {
	t.Helper()
	u := must[api.User](t)(d.CreateUser(t.Context(), api.UserCreate{Name: name, Password: "correct horse battery"}))
	return app.Actor{ID: u.ID, Name: u.Name}
}

const here = "192.0.2.1"

// An application of a user's own is named by its name, one that is shared by OWNER:NAME or its id; the lists have both.
func TestSharedApplicationsAreNamedByOwner(t *testing.T) {
	t.Parallel()
	d, ctx := start(t, directortest.Options{}), t.Context()
	ana, bob := person(t, d, "ana"), person(t, d, "bob")
	theirs := must[api.Application](t)(d.CreateApplication(ctx, ana, api.ApplicationCreate{Name: "shop"}))
	_, err := d.Application(ctx, bob, "ana:shop")
	fails(t, err, api.CodeNotFound, "ana:shop")
	must[api.Share](t)(d.ShareApplication(ctx, ana, "shop", "bob", api.ShareChange{}, here))
	_, err = d.Application(ctx, bob, "shop")
	fails(t, err, api.CodeNotFound, "shop") // or a script would mean another application tomorrow
	own := must[api.Application](t)(d.CreateApplication(ctx, bob, api.ApplicationCreate{Name: "shop"}))
	for ref, want := range map[string]api.ApplicationID{"shop": own.ID, "bob:shop": own.ID, "ana:shop": theirs.ID, theirs.ID.String(): theirs.ID} {
		if got := must[api.Application](t)(d.Application(ctx, bob, ref)); got.ID != want {
			t.Errorf("%s is application %s, want %s", ref, got.ID, want)
		}
	}
	list := must[api.List[api.Application]](t)(d.Applications(ctx, bob, app.Page{}))
	if len(list.Items) != 2 || list.Items[0].Owner != "ana" || list.Items[0].Shared != api.ShareView || list.Items[1].Owner != "bob" || list.Items[1].Shared != "" {
		t.Errorf("%+v", list.Items)
	}
	export, err := d.ExportUser(ctx, bob, "me")
	if err != nil {
		t.Fatal(err)
	}
	for v, err := range export.Applications {
		if err != nil || v.ID != own.ID {
			t.Errorf("the export of bob has application %s, %v", v.ID, err)
		}
	}
}

// What a share lets a user do, and how it ends: by the owner, by the user itself, and with the application.
func TestShares(t *testing.T) {
	t.Parallel()
	d, ctx := start(t, directortest.Options{}), t.Context()
	ana, bob := person(t, d, "ana"), person(t, d, "bob")
	must[api.Application](t)(d.CreateApplication(ctx, ana, api.ApplicationCreate{Name: "shop"}))
	share := func(level api.ShareLevel) {
		t.Helper()
		if s := must[api.Share](t)(d.ShareApplication(ctx, ana, "shop", "bob", api.ShareChange{Level: level}, here)); s.Level != level || s.User != "bob" {
			t.Fatalf("%+v", s)
		}
	}
	share(api.ShareView)
	_, err := d.StartApplication(ctx, bob, "ana:shop")
	fails(t, err, api.CodeForbidden, "ask its owner ana for: cps application share shop bob --level operate")
	share(api.ShareOperate)
	op := must[api.Operation](t)(d.StartApplication(ctx, bob, "ana:shop"))
	if op.Owner != "ana" {
		t.Errorf("the operation is of %s, want that of who pays", op.Owner)
	}
	for _, who := range []app.Actor{ana, bob} {
		list := must[api.List[api.Operation]](t)(d.Operations(ctx, who, "", app.Page{}))
		if len(list.Items) != 1 || list.Items[0].ID != op.ID {
			t.Errorf("%s has the operations %+v", who.Name, list.Items)
		}
	}
	_, err = d.DeleteApplication(ctx, bob, "ana:shop")
	fails(t, err, api.CodeForbidden, "only its owner ana")
	_, err = d.ShareApplication(ctx, bob, "ana:shop", "admin", api.ShareChange{}, here)
	fails(t, err, api.CodeForbidden, "only its owner ana")
	fails(t, d.UnshareApplication(ctx, bob, "ana:shop", "ana"), api.CodeForbidden, "only its owner ana")

	if err := d.UnshareApplication(ctx, bob, "ana:shop", "me"); err != nil { // it leaves
		t.Fatal(err)
	}
	_, err = d.Operation(ctx, bob, op.ID)
	fails(t, err, api.CodeNotFound, string(op.ID))
	fails(t, d.UnshareApplication(ctx, ana, "shop", "bob"), api.CodeNotFound, "not shared")
	share(api.ShareView)
	if err := d.UnshareApplication(ctx, ana, "shop", "bob"); err != nil {
		t.Fatal(err)
	}
	share(api.ShareView)
	must[api.Operation](t)(d.DeleteApplication(ctx, ana, "shop"))
	_, err = d.Application(ctx, bob, "ana:shop")
	fails(t, err, api.CodeNotFound, "ana:shop")
}

// With whom nothing can be shared, and that names are not guessed in this way.
func TestSharingTellsLittle(t *testing.T) {
	t.Parallel()
	d, ctx := start(t, directortest.Options{}), t.Context()
	ana := person(t, d, "ana")
	person(t, d, "bob")
	must[api.Application](t)(d.CreateApplication(ctx, ana, api.ApplicationCreate{Name: "shop"}))
	_, err := d.ShareApplication(ctx, ana, "shop", "ana", api.ShareChange{}, here)
	fails(t, err, api.CodeConflict, "your own")
	_, err = d.ShareApplication(ctx, ana, "shop", "bob", api.ShareChange{Level: "own"}, here)
	fails(t, err, api.CodeInvalid, "want view or operate")
	closed := true
	must[api.User](t)(d.ChangeUser(ctx, d.Admin(), "bob", api.UserChange{Disabled: &closed}))
	_, err = d.ShareApplication(ctx, ana, "shop", "bob", api.ShareChange{}, here)
	fails(t, err, api.CodeNotFound, "there is no user") // as if there were none
	braked := false
	for range 10 {
		_, err = d.ShareApplication(ctx, ana, "shop", "nobody", api.ShareChange{}, here)
		braked = braked || api.CodeFrom(err) == api.CodeThrottled
	}
	if !braked {
		t.Error("names can be guessed without end")
	}
}

// What is open ends soon after the share or the account has.
func TestStreamsEndWithTheShare(t *testing.T) {
	t.Parallel()
	d, ctx := start(t, directortest.Options{}), t.Context()
	ana := person(t, d, "ana")
	must[api.Application](t)(d.CreateApplication(ctx, ana, api.ApplicationCreate{Name: "shop"}))
	closed := true
	for name, end := range map[string]func() error{
		"bob": func() error { return d.UnshareApplication(ctx, ana, "shop", "bob") },
		"eve": func() error {
			_, err := d.ChangeUser(ctx, d.Admin(), "eve", api.UserChange{Disabled: &closed})
			return err
		},
		"kim": func() error { return d.DeleteUser(ctx, d.Admin(), "kim", false) },
	} {
		reader := person(t, d, name)
		must[api.Share](t)(d.ShareApplication(ctx, ana, "shop", name, api.ShareChange{}, here))
		begun, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			first := true
			for range d.FollowEvents(ctx, reader, "ana:shop", "") {
				if first {
					close(begun)
					first = false
				}
			}
		}()
		<-begun
		if err := end(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(30 * time.Second): // it would be for ever
			t.Errorf("what %s reads goes on", name)
		}
	}
}

// What belongs to a user is looked up in access.go alone, where every use case has to say what it needs.
func TestOneFileDecidesWhoMay(t *testing.T) {
	t.Parallel()
	decides := []string{"Reach", "ReachNode", "ReachOperation", "FindApplication", "FindNode"}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	uses := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "access.go" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch f := call.Fun.(type) {
			case *ast.SelectorExpr:
				if slices.Contains(decides, f.Sel.Name) {
					t.Errorf("%s: use findApplication, findNode or findOperation instead of %s", set.Position(n.Pos()), f.Sel.Name)
				}
			case *ast.Ident:
				if f.Name == "findApplication" {
					uses++
				}
			}
			return true
		})
	}
	if uses < 10 {
		t.Errorf("only %d uses of findApplication were found", uses)
	}
}
