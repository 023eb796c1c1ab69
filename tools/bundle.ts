/**
 * `bundle.ts FOLDER`: the controllers as bundles. The launcher runs it when the sources are not those of the last bundles.
 *
 * A thousand files of packages and sources, whose types are stripped as they are loaded, take 20 to 50 MiB more, and half a second. What
 * finds files beside itself by its URL finds them from the bundle: the thread files among the bundles, everything else in the sources.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const src = fileURLToPath(new URL('../src/', import.meta.url));

/** Programs and threads; a bundle of the same name each. */
const entries = [
  'main/all.ts',
  'main/api.ts',
  'main/worker.ts',
  'main/health-manager.ts',
  'main/housekeeping.ts',
  'db/sqlite/thread.ts',
  'health/receiver-thread.ts',
  'cloud/tls/locked-thread.ts',
];

/** The file of a bundle in its folder. */
const bundleOf = (entry: string): string => entry.replaceAll('/', '-').replace(/\.ts$/u, '');

/** Makes URLs that are relative to a source relative to the bundles in `folder`. Throws for any other use of `import.meta`. */
const places = (folder: string): Plugin => ({
  name: 'places',
  setup({ onLoad }) {
    onLoad({ filter: new RegExp('[.]ts$') }, async ({ path }) => {
      if (!path.startsWith(src)) return undefined;
      const contents = (await readFile(path, 'utf8')).replaceAll(
        /new URL\('([^']+)', import\.meta\.url\)/gu,
        (_, beside: string) => `new URL('${placeOf(resolve(dirname(path), beside), folder)}', import_meta_url)`,
      );
      if (contents.includes('import.meta'))
        throw new Error(`${path}: import.meta is used otherwise than for new URL('…', import.meta.url)`);
      return { contents: contents.replaceAll('import_meta_url', 'import.meta.url'), loader: 'ts' };
    });
  },
});

function placeOf(path: string, folder: string): string {
  const entry = relative(src, path);
  return entries.includes(entry) ? `./${bundleOf(entry)}.mjs` : relative(folder, path);
}

const folder = resolve(process.argv[2] ?? '');
await build({
  entryPoints: Object.fromEntries(entries.map((entry) => [bundleOf(entry), join(src, entry)])),
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  // The text stays in memory: without its white space 3 MiB less. Names stay, so that stacks can be read; lines are short enough to find a place in.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  platform: 'node',
  target: 'node24',
  // esbuild itself bundles agents when the program runs; pg asks for pg-native when somebody wants it, and nobody does.
  external: ['esbuild', 'pg-native'],
  plugins: [places(folder)],
  // Packages in CommonJS ask for Node's own modules by `require`.
  banner: { js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);" },
  logLevel: 'error',
});
