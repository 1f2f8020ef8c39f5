// Package filelimit raises the limit on open file descriptors (RLIMIT_NOFILE), and makes the
// kernel's table of them large in advance. How the descriptors are divided is package proxy/fdbudget'.
package filelimit
