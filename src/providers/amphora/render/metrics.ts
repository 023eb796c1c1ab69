/** What PROMETHEUS listeners need behind them: HAProxy's exporter, and the one that gives its metrics the names of the API. */
import type { ConfigSection } from '../../../wire/haproxy-text.ts';
import { line } from './lines.ts';
import type { RenderSettings } from './settings.ts';

/** The backend of PROMETHEUS listeners; as the frontend's, its name has to begin so: agents take neither for a tenant's. */
export const METRICS_BACKEND = 'prometheus-exporter-internal';

/** Exporter and way to its translator. */
export function renderMetrics({ metrics }: RenderSettings): ConfigSection[] {
  if (metrics === null) return [];
  const exporter = [
    line('bind', metrics.exporter, ...(metrics.exporter.startsWith('unix@') ? ['mode', '600'] : [])),
    line('mode', 'http'),
    line('no', 'log'),
    line('http-request', 'use-service', 'prometheus-exporter', 'if', '{', 'path', '/metrics', '}'),
    line('http-request', 'reject'),
    line('timeout', 'http-request', '5s'),
    line('timeout', 'client', '5s'),
  ];
  const translator = [
    line('mode', 'http'),
    line('no', 'log'),
    line('balance', 'first'),
    line('timeout', 'connect', '5s'),
    line('timeout', 'server', '5s'),
    line('server', 'prometheus-internal', metrics.translator),
  ];
  return [
    { kind: 'frontend', name: `${METRICS_BACKEND}-endpoint`, lines: exporter },
    { kind: 'backend', name: METRICS_BACKEND, lines: translator },
  ];
}
