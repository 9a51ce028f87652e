/* How a ledgerd that tests start as a process of its own is configured: by what they say, and by nothing of this host. */
import { type Config, readConfig } from '../../apps/ledgerd/config.ts';

/** What it calls its host. */
export const TEST_HOST = 'test-host';

export const configFrom = (args: readonly string[]): Config =>
  readConfig({
    args,
    env: {},
    workingDirectory: process.cwd(),
    hostname: TEST_HOST,
    readText: () => '',
  }).config;
