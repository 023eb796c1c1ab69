/** Writes docs/configuration.md from the table of options; `--check` only says whether it is current. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Option } from '../src/config/option.ts';
import { allOptions } from '../src/config/table.ts';
import { formatValue } from '../src/config/values.ts';

const path = fileURLToPath(new URL('../docs/configuration.md', import.meta.url));

const head = `# Configuration

This file is generated from \`src/config\` by \`node_modules/.bin/node tools/config-docs.ts\`; a test fails when it is not current.

The configuration is an \`octavia.conf\` in the syntax of oslo.config. \`OCTAVIA_CONFIG\` names it; without it the file
\`octavia.conf\` in the state folder is read, if there is one. Groups and names are those of OpenStack Octavia where the meaning
is the same, so an existing file can be kept; options of other programs in it are ignored.

What wins, from strongest: command line, environment (\`OCTAVIA_BIND=host:port\`, \`OCTAVIA_STATE_DIR\`, and for any option
\`OS_<GROUP>__<OPTION>\`, such as \`OS_API_SETTINGS__BIND_PORT\`), the file, what the first start drew (\`drawn.conf\` in the state
folder), the default. "On one machine" is the default where \`[local] enabled\` is true.

*Reload*: a new value is taken over by \`SIGHUP\`, others by a restart.
`;

/** The text of docs/configuration.md. */
export function configurationPage(): string {
  const lines = [head];
  let last = '';
  for (const { group, name, option } of allOptions()) {
    if (group !== last) lines.push(`\n## [${group}]\n`, '| option | default | what it is |', '|---|---|---|');
    last = group;
    lines.push(`| \`${name}\` | ${defaults(option)} | ${cell(sentence(option))} |`);
  }
  return `${lines.join('\n')}\n`;
}

function defaults(option: Option): string {
  const usual = shown(option, option.default);
  return option.local === undefined ? usual : `${usual}<br>on one machine: ${shown(option, option.local)}`;
}

function shown(option: Option, value: unknown): string {
  const text = formatValue(option, value);
  return text === '' ? 'not set' : `\`${cell(text)}\``;
}

function sentence(option: Option): string {
  const parts = [option.doc];
  const { unit, min, max, choices, mutable, env } = option;
  const bounds = [min === undefined ? '' : `from ${min}`, max === undefined ? '' : `to ${max}`].filter(Boolean).join(' ');
  parts.push(`*${[option.kind, unit, bounds].filter(Boolean).join(', ')}${mutable === true ? '; reload' : ''}.*`);
  if (choices !== undefined) parts.push(`One of ${choices.map((choice) => `\`${choice}\``).join(', ')}.`);
  if (env !== undefined) parts.push(`Environment: \`${env}\`.`);
  return parts.join(' ');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** True when docs/configuration.md is what the table says now. */
export function isCurrent(): boolean {
  return readFileSync(path, 'utf8') === configurationPage();
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) writeFileSync(path, configurationPage());
  else if (!isCurrent()) {
    console.error('docs/configuration.md is not current: run node_modules/.bin/node tools/config-docs.ts');
    process.exitCode = 1;
  }
}
