/** The amphora agent as one file, which is all that an amphora needs besides node and the init. */
import { fileURLToPath } from 'node:url';
import { build, stop } from 'esbuild';

/**
 * Bundles the agent into one CommonJS file for Node 24, which starts faster than a module. Throws esbuild's error.
 *
 * Nothing is left out and nothing is minified: the file is read by operators, too. The init is `src/agent/init.sh`.
 */
export async function bundleAgent(outfile: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL('agent.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    logLevel: 'silent',
    legalComments: 'inline',
  });
  // Its process would stay with ours, for 5 MB; the next build starts another.
  await stop();
}
