/** What the first start draws once and for all: ranges of networks and the key of heartbeats; kept in `drawn.conf`. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseRanges, readTakenRanges, uniqueLocalRange } from '../cloud/local/fabric/ranges.ts';
import { hasIpv6 } from '../cloud/local/fabric/ip.ts';
import { DRAWN_FILE, EFFECTIVE_FILE, loadConfig } from '../config/load.ts';
import type { Config, Overrides } from '../config/table.ts';
import { writeConf, writeEffective } from '../config/write.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';

/** Pool of the management network: shared address space (RFC 6598), seldom used inside a host. */
const managementPool = '100.64.0.0/10';

/** Draws what is not there yet and answers the configuration with it. */
export async function drawOnce(config: Config): Promise<Config> {
  const path = join(config.local.state_dir, DRAWN_FILE);
  // Another process may have drawn since this one read its configuration.
  if (existsSync(path)) return drawLater(loadConfig(), path);
  const taken = await readTakenRanges();
  const [management] = chooseRanges(taken, 1, { pool: managementPool, prefix: 20 });
  const [tenant] = chooseRanges(taken, 1, { pool: config.local.tenant_range });
  const tenant_cidr = config.local.tenant_cidr ?? tenant ?? '198.18.0.0/24';
  const drawn: Overrides = {
    health_manager: { heartbeat_key: config.health_manager.heartbeat_key?.reveal() ?? randomBytes(32).toString('base64url') },
    local: {
      management_cidr: config.local.management_cidr ?? management ?? '100.64.0.0/20',
      tenant_cidr,
      floating_cidr: config.local.floating_cidr ?? freeRange([...taken, tenant_cidr], config),
      tenant_cidr_v6: config.local.tenant_cidr_v6 ?? (hasIpv6() ? uniqueLocalRange(randomBytes(5), 1) : 'none'),
    },
  };
  await writeFileAtomic(path, `# Drawn by the first start: keep it.\n${writeConf(drawn)}`, { mode: 0o600 });
  return loadConfig();
}

/** What a first start of an earlier version did not draw. */
async function drawLater(config: Config, path: string): Promise<Config> {
  if (config.local.floating_cidr !== null) return config;
  const floating_cidr = freeRange([...(await readTakenRanges()), config.local.tenant_cidr ?? ''], config);
  await writeFileAtomic(path, `${await readFile(path, 'utf8')}\n${writeConf({ local: { floating_cidr } })}`, { mode: 0o600 });
  return loadConfig();
}

/** A range for floating IPs; `none` where there is no more: they are the only thing that a machine can do without. */
function freeRange(taken: readonly string[], config: Config): string {
  try {
    return chooseRanges(taken, 1, { pool: config.local.tenant_range })[0] ?? 'none';
  } catch {
    return 'none';
  }
}

/** Writes the configuration in force into the state folder, unless an operator's file is there. */
export async function writeEffectiveOnce(config: Config): Promise<void> {
  const path = join(config.local.state_dir, EFFECTIVE_FILE);
  if (!existsSync(path)) await writeFileAtomic(path, writeEffective(config), { mode: 0o600 });
}
