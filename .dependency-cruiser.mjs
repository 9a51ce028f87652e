/**
 * Who may import whom (ARCHITECTURE.md draws it). A room is entered by its door, `#room`, never through a window.
 */
const doors = '^libs/[^/]+/index\\.ts$';

/** Those that touch the machine on behalf of all others, and what tests and stories of a room do for themselves. */
const ADAPTERS = [
  '^libs/world/real/',
  '^libs/event-store/sqlite/',
  '^apps/[^/]+/main\\.ts$',
  '^apps/ledgerctl/real-http\\.ts$',
  '\\.test\\.ts$',
  '^libs/.+/story/',
];

/** A room and the rooms it may enter. Nothing else of ours. */
const map = {
  world: [],
  ledger: [],
  'event-store': ['world'],
  qmp: ['world'],
  views: ['world', 'ledger', 'event-store'],
  hypervisor: ['world', 'ledger', 'qmp'],
};

const roomRules = Object.entries(map).map(([room, allowed]) => ({
  name: `${room}-enters-only-${allowed.join('-') || 'nothing'}`,
  severity: 'error',
  from: { path: `^libs/${room}/`, pathNot: '\\.test\\.ts$' },
  to: { path: '^(libs|apps|test|deploy)/', pathNot: `^libs/(${[room, ...allowed].join('|')})/` },
}));

export default {
  forbidden: [
    ...roomRules,
    {
      name: 'every-room-is-on-the-map',
      severity: 'error',
      from: {},
      to: { path: '^libs/', pathNot: `^libs/(${Object.keys(map).join('|')})/` },
    },
    {
      name: 'by-the-door-from-an-app',
      severity: 'error',
      from: { path: '^(apps|deploy|test)/' },
      to: { path: '^libs/', pathNot: [doors] },
    },
    ...Object.keys(map).map((room) => ({
      name: `by-the-door-into-${room}`,
      severity: 'error',
      from: { path: '^libs/', pathNot: `^libs/${room}/` },
      to: { path: `^libs/${room}/`, pathNot: [doors] },
    })),
    {
      name: 'http-and-worker-never-meet',
      severity: 'error',
      from: { path: '^apps/ledgerd/(http|worker)/' },
      to: { path: '^apps/ledgerd/(http|worker)/', pathNot: '^apps/ledgerd/$1/' },
    },
    {
      name: 'apps-never-meet',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'product-never-imports-tests',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: '\\.test\\.ts$|^libs/.+/story/' },
      to: { path: '^(test|deploy)/|\\.test\\.ts$|^libs/.+/story/' },
    },
    {
      name: 'ledger-is-pure',
      severity: 'error',
      from: { path: '^libs/ledger/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'the-machine-is-touched-through-world',
      comment:
        'The linter says so of what is imported at the top of a file; this also of import() and require().',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: ADAPTERS },
      to: {
        dependencyTypes: ['core'],
        dependencyTypesNot: ['type-only'],
        pathNot: '^(node:)?(buffer|crypto|path|path/posix|sqlite|stream|stream/promises|url|util|v8)$',
      },
    },
    {
      name: 'the-machine-has-no-other-door',
      comment: 'A package that opens sockets or files by itself. Those of Nest live in http.',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: '\\.test\\.ts$|^libs/.+/story/|^apps/ledgerd/http/' },
      to: {
        path: 'node_modules/',
        dependencyTypesNot: ['type-only'],
        pathNot: 'node_modules/(class-transformer|class-validator|commander|pino|prom-client|rxjs|uuid|zod)/',
      },
    },
    {
      name: 'nest-lives-in-http',
      severity: 'error',
      from: { pathNot: '^(apps/ledgerd/http/|test/)' },
      to: { path: 'node_modules/@nestjs/' },
    },
    {
      name: 'sql-lives-in-two-rooms',
      severity: 'error',
      from: { pathNot: '^(libs/(event-store|views)/|test/)' },
      to: { path: '^(node:)?sqlite$' },
    },
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['source', 'import', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
};
