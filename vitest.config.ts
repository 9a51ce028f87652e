import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    setupFiles: ['test/left-behind.ts'],
    include: ['apps/**/*.test.ts', 'libs/**/*.test.ts', 'test/**/*.test.ts'],
    // Against what hangs, not against a busy host: 200 simulated worlds are pure computing in one hook.
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
});
