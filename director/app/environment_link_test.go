package app

import (
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/director/store"
)

// shown gives the variables of a service as NAME=value, one a line, secrets marked with !.
func shown(n neighbours, id api.ServiceID) string {
	s, _ := n.service(id)
	var b strings.Builder
	for _, v := range n.variables(s) {
		mark := ""
		if v.secret {
			mark = "!"
		}
		b.WriteString(v.name + "=" + v.value.Reveal() + mark + "\n")
	}
	return b.String()
}

func TestVariablesOfLinks(t *testing.T) {
	t.Parallel()
	n := neighbours{
		application: "My Shop",
		services: []store.Service{
			{ID: 1, Type: api.PHP, Name: "front"},
			{ID: 2, Type: api.Helloworld, Name: "one"},
			{ID: 3, Type: api.Helloworld, Name: "No. 2"},
			{ID: 4, Type: api.Helloworld, Name: "old", Wanted: store.ServiceRemoved},
		},
		environments: map[api.ServiceID]*store.Environment{},
	}
	const two = "HELLOWORLD_HOST=no--2.my-shop.internal\nHELLOWORLD_IP=no--2.my-shop.internal\nHELLOWORLD_PORT=8080\n" +
		"NO__2_HELLOWORLD_HOST=no--2.my-shop.internal\nNO__2_HELLOWORLD_IP=no--2.my-shop.internal\nNO__2_HELLOWORLD_PORT=8080\n"
	const one = "ONE_HELLOWORLD_HOST=one.my-shop.internal\nONE_HELLOWORLD_IP=one.my-shop.internal\nONE_HELLOWORLD_PORT=8080\n"
	first := strings.ReplaceAll(two, "HELLOWORLD_HOST=no--2", "HELLOWORLD_HOST=one")
	first = strings.ReplaceAll(strings.ReplaceAll(first, "\nHELLOWORLD_IP=no--2", "\nHELLOWORLD_IP=one"), "NO__2_HELLOWORLD_HOST=one", "NO__2_HELLOWORLD_HOST=no--2")
	if got := shown(n, 1); got != first+one {
		t.Errorf("without links it has:\n%s; want:\n%s", got, first+one)
	}
	if got := shown(n, 2); got != "" {
		t.Errorf("what offers something itself has:\n%s; want nothing", got)
	}
	n.environments[1] = &store.Environment{Links: []api.ServiceID{3}}
	if got := shown(n, 1); got != two {
		t.Errorf("linked with one of them it has:\n%s; want:\n%s", got, two)
	}
	n.environments[1].Variables = map[string]string{"HELLOWORLD_PORT": "1", "LEVEL": "debug"}
	n.environments[1].Secrets = map[string]api.Secret{"HELLOWORLD_IP": "hidden"}
	want := strings.Replace(strings.Replace(two, "\nHELLOWORLD_PORT=8080", "\nHELLOWORLD_PORT=1\nLEVEL=debug", 1), "HELLOWORLD_IP=no--2.my-shop.internal", "HELLOWORLD_IP=hidden!", 1)
	if got := shown(n, 1); got != want {
		t.Errorf("with its own it has:\n%s; want:\n%s", got, want)
	}
}

func TestVariablesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   api.EnvironmentChange
		want string
	}{
		{api.EnvironmentChange{}, "name a variable"},
		{api.EnvironmentChange{Set: map[string]string{"1A": "x"}}, "no name of a variable"},
		{api.EnvironmentChange{Set: map[string]string{"A=B": "x"}}, "no name of a variable"},
		{api.EnvironmentChange{Set: map[string]string{"": "x"}}, "no name of a variable"},
		{api.EnvironmentChange{Set: map[string]string{strings.Repeat("A", maxVariableName+1): "x"}}, "no name of a variable"},
		{api.EnvironmentChange{Set: map[string]string{"path": "x"}}, "choose another name"},
		{api.EnvironmentChange{Secrets: map[string]api.Secret{"LD_PRELOAD": "x"}}, "choose another name"},
		{api.EnvironmentChange{Set: map[string]string{"MY_IP": "x"}}, "choose another name"},
		{api.EnvironmentChange{Set: map[string]string{"A": ""}}, "it is empty"},
		{api.EnvironmentChange{Set: map[string]string{"A": "a\nb"}}, "one line"},
		{api.EnvironmentChange{Set: map[string]string{"A": "\xff"}}, "one line"},
		{api.EnvironmentChange{Secrets: map[string]api.Secret{"A": "$2y$10$x"}}, "begins with '$'"},
		{api.EnvironmentChange{Set: map[string]string{"A": "x"}, Secrets: map[string]api.Secret{"A": "y"}}, "named twice"},
		{api.EnvironmentChange{Set: map[string]string{"A": "x"}, Unset: []string{"A"}}, "named twice"},
	} {
		if err := checkEnvironment(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %q", c.in, err, c.want)
		}
	}
	if err := checkEnvironment(api.EnvironmentChange{Set: map[string]string{"lower_Case9": "it's\t\"fine\" ${x}"}}); err != nil {
		t.Error(err)
	}
}
