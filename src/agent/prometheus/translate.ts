/** From the text of HAProxy's exporter (Prometheus text format 0.0.4) to that of a PROMETHEUS listener. Pure. */
import { renamedFamilies } from './names.ts';

/** Frontend and backend that serve metrics are no listener and pool of the tenant's. */
const internal = /^proxy="prometheus-exporter-internal/u;

/** Translates one line; undefined for what is not passed on. */
export function translateLine(line: string): string | undefined {
  const comment = /^# (HELP|TYPE) (\w+)(.*)$/u.exec(line);
  if (comment !== null) {
    const renamed = renamedFamilies.get(comment[2] ?? '');
    return renamed === undefined ? undefined : `# ${comment[1]} ${renamed.name}${comment[3]}`;
  }
  const end = line.search(/[{ ]/u);
  const renamed = end < 0 ? undefined : renamedFamilies.get(line.slice(0, end));
  if (renamed === undefined) return undefined;
  const rest = line.slice(end);
  if (!rest.startsWith('{')) return renamed.name + rest;
  return internal.test(rest.slice(1)) ? undefined : renamed.name + withLabels(rest, renamed.labels);
}

/** `{proxy="…",server="…"} 1`: names of proxies and servers are ids, so that a label ends at its quote. */
function withLabels(rest: string, labels: Readonly<Record<string, string>>): string {
  return rest.replaceAll(/([{,])(\w+)="/gu, (whole, before: string, label: string) => {
    const renamed = labels[label];
    return renamed === undefined ? whole : `${before}${renamed}="`;
  });
}

/** A metric of our own with its comments. */
export function gauge(name: string, help: string, value: number): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`;
}
