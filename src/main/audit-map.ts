/** `[audit]`: whether requests are audited, and the file that names paths and actions in the events. */
import { existsSync, readFileSync } from 'node:fs';
import { type AuditMap, defaultAuditMap } from '../api/audit/event.ts';
import type { Audit } from '../api/audit/hook.ts';
import type { Config } from '../config/table.ts';
import { ConfSyntaxError, parseOsloConf } from '../lib/oslo-conf.ts';
import { StartRefused } from './state.ts';

/** Where the reference's packages put the file: it may be absent, one that somebody named may not. */
const USUAL = '/etc/octavia/octavia_api_audit_map.conf';

/** What is to be audited; null: nothing. Throws `StartRefused` when the map cannot be read. */
export function openAudit({ audit: options }: Config): Audit | null {
  if (!options.enabled) return null;
  const { audit_map_file: path } = options;
  const ignored = options.ignore_req_list.map((method) => method.toUpperCase());
  if (path === USUAL && !existsSync(path)) return { map: defaultAuditMap, ignored };
  try {
    return { map: parseAuditMap(readFileSync(path, 'utf8'), path), ignored };
  } catch (error) {
    const reason = error instanceof ConfSyntaxError ? error.message : ((error as NodeJS.ErrnoException).code ?? String(error));
    throw new StartRefused(`The audit map ${path} cannot be read (${reason}).`, { cause: error });
  }
}

/** A map from the text of its file. Throws `ConfSyntaxError`. */
export function parseAuditMap(text: string, path: string): AuditMap {
  const groups: Record<string, Record<string, string>> = {};
  for (const { group, name, value } of parseOsloConf(text, path)) (groups[group] ??= {})[name] = value;
  const keywords = Object.entries(groups['path_keywords'] ?? {}).map(([name, one]) => [name, one === 'None' || one === '' ? null : one]);
  // Names of options have no hyphen, types of services no underscore.
  const endpoints = Object.entries(groups['service_endpoints'] ?? {}).map(([name, type]) => [name.replaceAll('_', '-'), type]);
  return {
    target_endpoint_type: groups['DEFAULT']?.['target_endpoint_type'] ?? defaultAuditMap.target_endpoint_type,
    custom_actions: groups['custom_actions'] ?? {},
    path_keywords: Object.fromEntries(keywords) as AuditMap['path_keywords'],
    service_endpoints:
      endpoints.length === 0 ? defaultAuditMap.service_endpoints : (Object.fromEntries(endpoints) as AuditMap['service_endpoints']),
  };
}
