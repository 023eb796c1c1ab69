/** What the agent needs to know of a configuration that it was given: whoever wrote it, so by its words, not by our reader. */

/** A listener in a configuration: the name of its frontend, and its mode. */
export type ConfiguredListener = { readonly id: string; readonly mode: string };

/** The path of the stats socket, or undefined when it has none. */
export function statsSocketOf(config: string): string | undefined {
  const path = /^\s*stats\s+socket\s+(\S+)/mu.exec(config)?.[1];
  return path === undefined ? undefined : path.replaceAll(/^['"]|['"]$/gu, '');
}

/** The frontends; those of a PROMETHEUS listener's inner side are none. */
export function listenersOf(config: string): readonly ConfiguredListener[] {
  const sections = config.split(/^(?=\S)/mu);
  return sections.flatMap((section) => {
    const id = /^frontend\s+(\S+)/u.exec(section)?.[1];
    if (id === undefined || id.includes('prometheus')) return [];
    return [{ id, mode: /^\s+mode\s+(\S+)/mu.exec(section)?.[1] ?? 'http' }];
  });
}
