package main

// The database of time zones, 450 KB, for hosts without /usr/share/zoneinfo, such as containers: a file
// whose routes have active is to mean the same there. What the host has is used first.
import _ "time/tzdata"
