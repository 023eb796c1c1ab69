/** The members that a configuration has: what heartbeats tell of. Pure. */
import { readConfig } from '../../wire/haproxy-text.ts';

/** Names of servers by the name of their backend. */
export type Members = ReadonlyMap<string, ReadonlySet<string>>;

/** The servers of each backend; undefined when the configuration is not one of ours. */
export function membersIn(config: string): Members | undefined {
  const backends = readConfig(config)?.filter((section) => section.kind === 'backend');
  return backends && new Map(backends.map(({ name, lines }) => [name ?? '', new Set(serversOf(lines))]));
}

const serversOf = (lines: readonly { readonly tokens: readonly string[] }[]): readonly string[] =>
  lines.flatMap(({ tokens }) => (tokens[0] === 'server' ? [tokens[1] ?? ''] : []));
