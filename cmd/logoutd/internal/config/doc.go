// Package config holds the settings of logoutd: one struct, the flags that fill it and
// the rules that bind them together. Every flag --some-name is also LOGOUTD_SOME_NAME in the
// environment; the command line wins.
package config
