package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composeFile is the part of the Compose format that docker-compose.yml may use: any other key fails,
// so that nothing privileged and nothing of the host comes in unseen.
type composeFile struct {
	Hardened yaml.Node                 `yaml:"x-hardened"`
	Logoutd  yaml.Node                 `yaml:"x-logoutd"`
	Services map[string]composeService `yaml:"services"`
	Networks map[string]struct {
		Internal bool `yaml:"internal"`
	} `yaml:"networks"`
	Volumes map[string]struct{} `yaml:"volumes"`
	Secrets map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

type composeService struct {
	Image string `yaml:"image"`
	Build *struct {
		Context    string            `yaml:"context"`
		Dockerfile string            `yaml:"dockerfile"`
		Args       map[string]string `yaml:"args"`
	} `yaml:"build"`
	User        string            `yaml:"user"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	EnvFile     []string          `yaml:"env_file"`
	Secrets     []string          `yaml:"secrets"`
	Volumes     []string          `yaml:"volumes"`
	Tmpfs       []string          `yaml:"tmpfs"`
	Networks    []string          `yaml:"networks"`
	Ports       []string          `yaml:"ports"`
	Expose      []string          `yaml:"expose"`
	DependsOn   map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	HealthCheck *struct {
		Test        []string `yaml:"test"`
		Interval    string   `yaml:"interval"`
		Timeout     string   `yaml:"timeout"`
		StartPeriod string   `yaml:"start_period"`
		Retries     int      `yaml:"retries"`
	} `yaml:"healthcheck"`
	Restart     string   `yaml:"restart"`
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	StopGrace   string   `yaml:"stop_grace_period"`
	ShmSize     string   `yaml:"shm_size"`
	Logging     struct {
		Driver  string            `yaml:"driver"`
		Options map[string]string `yaml:"options"`
	} `yaml:"logging"`
	Deploy struct {
		Resources struct {
			Limits struct {
				CPUs   string `yaml:"cpus"`
				Memory string `yaml:"memory"`
			} `yaml:"limits"`
		} `yaml:"resources"`
	} `yaml:"deploy"`
}

func (s *composeService) ours() bool { return strings.HasPrefix(s.Image, "logoutd:") }

// listens reports whether a service listens on a port of its own, published or not.
func (s *composeService) listens(port string) bool {
	return slices.Contains(s.Expose, port) ||
		slices.ContainsFunc(s.Ports, func(p string) bool { return strings.HasSuffix(p, ":"+port) })
}

func repositoryFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readCompose reads the file as Compose does with nothing set in the environment.
func readCompose(t *testing.T) composeFile {
	t.Helper()
	variable := regexp.MustCompile(`\$\$|\$\{[A-Z_]+:-([^}]*)\}`)
	text := variable.ReplaceAllString(repositoryFile(t, "docker-compose.yml"), "$1")
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	var c composeFile
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	ours := 0
	for _, s := range c.Services {
		if s.ours() {
			ours++
		}
	}
	if ours != 2 {
		t.Fatalf("%d services run logoutd, want 2", ours)
	}
	return c
}

func TestComposeIsHardened(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	version := regexp.MustCompile(`^[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z][a-z0-9.]*)?$`)
	for name, s := range c.Services {
		for what, ok := range map[string]bool{
			"an exact version":                   version.MatchString(s.Image),
			"a user who is not root":             regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(s.User),
			"a read only file system":            s.ReadOnly,
			"no capability":                      slices.Equal(s.CapDrop, []string{"ALL"}),
			"no new privileges":                  slices.Contains(s.SecurityOpt, "no-new-privileges:true"),
			"a restart policy":                   s.Restart == "unless-stopped",
			"time to stop":                       s.StopGrace != "",
			"limits":                             s.Deploy.Resources.Limits.CPUs != "" && s.Deploy.Resources.Limits.Memory != "",
			"a bounded log":                      s.Logging.Options["max-size"] != "",
			"a health check that runs a program": s.HealthCheck != nil && len(s.HealthCheck.Test) > 1 && s.HealthCheck.Test[0] == "CMD",
			"a network":                          len(s.Networks) > 0,
		} {
			if !ok {
				t.Errorf("service %s lacks %s", name, what)
			}
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("service %s publishes %s beyond this host", name, port)
			}
		}
		for key, value := range s.Environment {
			if regexp.MustCompile(`(?i)(password|token|secret)$`).MatchString(key) || strings.Contains(value, "password=") {
				t.Errorf("service %s has a secret in its environment: %s", name, key)
			}
		}
	}
}

func TestComposeNamesWhatExists(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	used := map[string]bool{}
	for name, s := range c.Services {
		for other, on := range s.DependsOn {
			if c.Services[other].HealthCheck == nil || on.Condition != "service_healthy" {
				t.Errorf("service %s depends on %s (%s), which has no health check or does not exist", name, other, on.Condition)
			}
		}
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, declared := c.Volumes[source]; !declared {
				t.Errorf("service %s mounts %s, which is no declared volume", name, volume)
			}
			used[source] = true
		}
		for _, secret := range s.Secrets {
			if !strings.HasPrefix(c.Secrets[secret].File, ".secrets/") {
				t.Errorf("service %s uses the secret %s, which is not declared below .secrets", name, secret)
			}
			used[secret] = true
		}
		for _, network := range s.Networks {
			if _, declared := c.Networks[network]; !declared {
				t.Errorf("service %s is in the network %s, which is not declared", name, network)
			}
		}
	}
	for volume := range c.Volumes {
		if !used[volume] {
			t.Errorf("nobody mounts the volume %s", volume)
		}
	}
	if !c.Networks["back"].Internal || !strings.Contains(repositoryFile(t, ".gitignore"), "/.secrets/") ||
		strings.Contains(repositoryFile(t, ".dockerignore"), "!.") {
		t.Error("the stores can be reached from elsewhere, or secrets can leave this folder")
	}
}

// TestComposeSettingsAreThoseOfServe runs the real checks of `logoutd config` on them.
func TestComposeSettingsAreThoseOfServe(t *testing.T) {
	t.Parallel()
	for name, s := range readCompose(t).Services {
		if !s.ours() {
			continue
		}
		var out, stderr bytes.Buffer
		code := run(context.Background(), []string{"config", "--json"}, func(key string) (string, bool) {
			value, set := s.Environment[key]
			return value, set
		}, &out, &stderr)
		var settings []setting
		if err := json.Unmarshal(out.Bytes(), &settings); err != nil || code != exitOK {
			t.Fatalf("service %s: exit %d: %s", name, code, stderr.String())
		}
		known := 0
		for key := range s.Environment {
			if !strings.HasPrefix(key, "LOGOUTD_") {
				continue
			}
			known++
			if !slices.ContainsFunc(settings, func(each setting) bool { return envName(each.Name) == key && each.Source == "environment" }) {
				t.Errorf("service %s sets %s, which is no setting of serve", name, key)
			}
		}
		if known == 0 || len(s.Command) > 0 {
			t.Errorf("service %s has no setting in its environment, or a command of its own", name)
		}
		p := &program{lookupEnv: noEnvironment, stdout: &out, stderr: &stderr}
		check := s.HealthCheck.Test[2:]
		cmd, rest, err := p.rootCommand().Find(check)
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err != nil || s.HealthCheck.Test[1] != "/logoutd" || cmd.Name() != "health" {
			t.Errorf("service %s: health check %v: %v", name, s.HealthCheck.Test, err)
		}
	}
}

// TestComposePortsFit: whatever logoutd reaches is a service of its networks that listens there.
func TestComposePortsFit(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	for name, s := range c.Services {
		if !s.ours() {
			continue
		}
		reached := 0
		for key, value := range s.Environment {
			u, err := url.Parse(value)
			if err != nil || u.Port() == "" || !strings.Contains(value, "://") {
				continue
			}
			reached++
			other, exists := c.Services[u.Hostname()]
			shared := slices.ContainsFunc(other.Networks, func(n string) bool { return slices.Contains(s.Networks, n) })
			_, waits := s.DependsOn[u.Hostname()]
			if !exists || !other.listens(u.Port()) || !shared || !waits {
				t.Errorf("service %s: %s is %s: no such service, port or network, or it is not waited for", name, key, value)
			}
		}
		_, port, _ := strings.Cut(s.Environment["LOGOUTD_HTTP"], ":")
		if reached != 3 || !s.listens(port) || !strings.Contains(fmt.Sprint(s.HealthCheck.Test), ":"+port+"/readyz") {
			t.Errorf("service %s reaches %d services, want 3, or its own port %s is not the one published and checked", name, reached, port)
		}
	}
}

// TestTheImageIsBuiltLikeTheBinary holds the Dockerfile against the Makefile and go.mod.
func TestTheImageIsBuiltLikeTheBinary(t *testing.T) {
	t.Parallel()
	file := repositoryFile(t, "cmd/logoutd/Dockerfile")
	stages := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(file, -1)
	if len(stages) != 2 || stages[1][1] != "gcr.io/distroless/static-debian12:nonroot" {
		t.Errorf("stages %v", stages)
	}
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(repositoryFile(t, "go.mod"))[1]
	if !regexp.MustCompile(`^golang:` + regexp.QuoteMeta(language) + `\.\d+-`).MatchString(stages[0][1]) {
		t.Errorf("built with %s, go.mod says %s", stages[0][1], language)
	}
	flags := regexp.MustCompile(`CGO_ENABLED=0 \S+ build (-trimpath -ldflags )["'](.*?)\$[({]VERSION[)}]["']`)
	want, got := flags.FindStringSubmatch(repositoryFile(t, "Makefile")), flags.FindStringSubmatch(file)
	if want == nil || got == nil || want[1] != got[1] || want[2] != got[2] {
		t.Errorf("the image is built with %q, the binary with %q", got, want)
	}
	for _, s := range readCompose(t).Services {
		if s.ours() && (s.Build == nil || s.Build.Dockerfile != "cmd/logoutd/Dockerfile" || s.Build.Context != "." || s.User != "65532:65532") {
			t.Errorf("build %+v of user %s", s.Build, s.User)
		}
	}
}
