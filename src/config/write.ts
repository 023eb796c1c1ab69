/** Writing configuration files. */
import { Secret } from '../lib/secret.ts';
import type { Option } from './option.ts';
import { allOptions } from './table.ts';
import type { Config, Overrides } from './table.ts';
import { formatValue } from './values.ts';

/**
 * A file with every option: a comment line where the value is the default, an assignment where it is not. Reading it
 * gives the same configuration. Secrets are left out unless asked for.
 */
export function writeEffective(config: Config, options: { readonly secrets?: boolean } = {}): string {
  const lines = ['# The configuration in force. Lines that start with # show defaults.'];
  let last = '';
  for (const { group, name, option } of allOptions()) {
    if (group !== last) lines.push('', `[${group}]`);
    last = group;
    const value = (config[group] as Record<string, unknown>)[name];
    if (value instanceof Secret && options.secrets !== true) {
      lines.push(`# ${name} = ***`);
      continue;
    }
    const text = escapedValue(formatValue(option, value));
    lines.push(isDefault(option, config.local.enabled, value) ? `# ${name} = ${text}`.trimEnd() : `${name} = ${text}`);
  }
  return `${lines.join('\n')}\n`;
}

/** A file with just these values, secrets included. */
export function writeConf(values: Overrides): string {
  const given = values as Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;
  const lines: string[] = [];
  let last = '';
  for (const { group, name, option } of allOptions()) {
    const value = given[group]?.[name];
    if (value === undefined || value === null) continue;
    if (group !== last) lines.push(`[${group}]`);
    last = group;
    lines.push(`${name} = ${escapedValue(formatValue(option, value))}`);
  }
  return `${lines.join('\n')}\n`;
}

function isDefault(option: Option, isLocal: boolean, value: unknown): boolean {
  const initial = isLocal && option.local !== undefined ? option.local : option.default;
  return value === initial || (typeof value === 'object' && formatValue(option, value) === formatValue(option, initial));
}

/** A text that the reader gives back as it is: dollars doubled, quotes where spaces or quotes at the ends would be lost. */
function escapedValue(text: string): string {
  const dollars = text.replaceAll('$', '$$$$').replaceAll('\n', '\n  ');
  const isFragile = dollars !== dollars.trim() || /^(['"]).*\1$/su.test(dollars);
  if (!isFragile) return dollars;
  return dollars.startsWith('"') ? `'${dollars}'` : `"${dollars}"`;
}
