package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestWebServesAndEndsInGoodOrder(t *testing.T) {
	t.Parallel()
	url, _, _ := shownStore(t)
	s := serveStore(t, url)
	if !strings.HasPrefix(s.base, "http://127.0.0.1:") || !strings.HasSuffix(s.base, "/") {
		t.Errorf("the address is %q", s.base)
	}
	code, body, err := get(t.Context(), s.base, "")
	if err != nil || code != 200 || !strings.Contains(body, "build.Task") {
		t.Errorf("%d, %v: %s", code, err, body)
	}
	if code, body, err = get(t.Context(), s.base+"graph?id=5", ""); err != nil || code != 200 || !strings.Contains(body, "<svg class=\"graph\"") {
		t.Errorf("the graph: %d, %v: %s", code, err, body)
	}
	if code, _, err = get(t.Context(), s.base, "evil.example"); err != nil || code != 403 {
		t.Errorf("another host: %d, %v", code, err)
	}
	if answer := sendRaw(t, s.base, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 405 ") {
		t.Errorf("OPTIONS *: %s", answer)
	}
	if code, errOut := s.stop(); code != exitDone || errOut != "" {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if _, _, err := get(t.Context(), s.base, ""); err == nil {
		t.Error("it still answers")
	}
}

func TestCtrlCEndsWeb(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send Ctrl-C to another one")
	}
	url, _, _ := shownStore(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "web", "--json", url)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var line struct{ URL string }
	if err := json.NewDecoder(out).Decode(&line); err != nil {
		t.Fatalf("%v: %s", err, errOut.String())
	}
	if code, _, err := get(ctx, line.URL, ""); err != nil || code != 200 {
		t.Errorf("%s: %d, %v", line.URL, code, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || errOut.Len() > 0 {
		t.Errorf("it ends with %v: %s", err, errOut.String())
	}
}

// sendRaw sends bytes to a server, and returns what it answers.
func sendRaw(t *testing.T, base, request string) string {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestWebOnOtherAddressesWarns(t *testing.T) {
	t.Parallel()
	url, _, _ := shownStore(t)
	s := serveStore(t, url, "--listen", "0.0.0.0:0", "--host", "build.example.org")
	if !strings.HasPrefix(s.base, "http://build.example.org:") {
		t.Errorf("the address is %q", s.base)
	}
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(s.base, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"build.example.org:" + port: 200, "localhost:" + port: 200, "evil.example": 403} {
		if code, _, err := get(t.Context(), "http://127.0.0.1:"+port+"/", host); err != nil || code != want {
			t.Errorf("host %s: %d, %v", host, code, err)
		}
	}
	if code, errOut := s.stop(); code != exitDone || !strings.Contains(errOut, "they ask for no password") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
}

func TestWebRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	url, _, _ := shownStore(t)
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no store":       {[]string{"sqlite:" + t.TempDir() + "/none.db"}, exitFailed, "none.db"},
		"no URL":         {nil, exitUsage, "URL is missing"},
		"no port":        {[]string{url, "--listen", "localhost"}, exitUsage, "ADDRESS:PORT"},
		"a taken port":   {[]string{url, "--listen", taken.Addr().String()}, exitFailed, "in use"},
		"two URLs":       {[]string{url, url}, exitUsage, "one argument too many"},
		"a wrong option": {[]string{url, "--port", "1"}, exitUsage, "--port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			code := newApp(strings.NewReader(""), &out, &errOut).run(t.Context(), append([]string{"web"}, c.args...))
			if code != c.code || !strings.Contains(errOut.String(), c.want) {
				t.Errorf("exit code %d, want %d: %s", code, c.code, errOut.String())
			}
		})
	}
}
