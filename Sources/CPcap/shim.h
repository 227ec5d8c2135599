#pragma once
#include <netinet/in.h>
#include <pcap/pcap.h>
