/** Configurations as sections, each read once: what a worker holds and what it is to hold are asked for several times in a change. */
import { readConfig } from '../../wire/haproxy-text.ts';
import type { ConfigSection } from '../../wire/haproxy-text.ts';

const REMEMBERED = 3;
const known = new Map<string, readonly ConfigSection[] | undefined>();

/** What `readConfig` answers. */
export function sectionsOf(text: string): readonly ConfigSection[] | undefined {
  const sections = known.has(text) ? known.get(text) : readConfig(text);
  known.delete(text);
  known.set(text, sections);
  const [oldest] = known.keys();
  if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest);
  return sections;
}
