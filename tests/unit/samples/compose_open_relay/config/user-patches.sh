#!/bin/bash
postconf -e "smtpd_banner = acme"
