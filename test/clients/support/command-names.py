"""The commands in what `openstack command list -f json` printed, one a line, with _ between words (no command has one)."""
import json
import sys

for group in json.load(sys.stdin):
    commands = group['Commands']
    for command in commands.split('\n') if isinstance(commands, str) else commands:
        print(command.strip().replace(' ', '_'))
