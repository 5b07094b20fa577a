package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"strconv"
	"time"

	"conpaas/client/api"
)

// visit APP SERVICE PATH [COUNT]: prints a page at the first endpoint of the service, COUNT times as one browser: cookies
// are kept. A status other than 200 is an error.
func visit() {
	count := 1
	if len(os.Args) > 4 {
		count, _ = strconv.Atoi(os.Args[4])
	}
	url, err := endpoint(os.Args[1], os.Args[2])
	if err == nil {
		err = visits(url+os.Args[3], count)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// endpoint gives the URL of the first endpoint of a service.
func endpoint(application, service string) (string, error) {
	out, err := exec.Command("cps", "service", "show", application, service, "-o", "json").Output()
	if err != nil {
		return "", err
	}
	var s api.Service
	if err := json.Unmarshal(out, &s); err != nil {
		return "", err
	}
	if len(s.Endpoints) == 0 || s.Endpoints[0].URL == "" {
		return "", errors.New("it has no endpoint")
	}
	return s.Endpoints[0].URL, nil
}

func visits(url string, count int) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Timeout: 10 * time.Second, Jar: jar}
	for range count {
		answer, err := browser.Get(url)
		if err != nil {
			return err
		}
		_, err = io.Copy(os.Stdout, answer.Body)
		answer.Body.Close()
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, answer.Status)
		}
	}
	return nil
}
