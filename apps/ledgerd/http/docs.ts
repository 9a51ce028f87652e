import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { answerSchemas } from './answer-schemas.ts';

const SCHEMA_PREFIX = '#/components/schemas/';
const METHODS = ['get', 'post', 'patch', 'delete'] as const;

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;
type Parameter = NonNullable<Operation['parameters']>[number];

const header = (name: string, description: string): Parameter => ({
  name,
  in: 'header',
  required: false,
  description,
  schema: { type: 'string' },
});

const OF_A_COMMAND = [
  header(
    'Idempotency-Key',
    '1 to 255 printable ASCII characters: the same request again is answered as the first time',
  ),
  header('If-Match', 'an ETag: refused with 412 when the stream has moved on'),
];
const OF_A_READ = [
  header('Snapledger-Min-Position', 'what the answer must have seen, else 503 after a second'),
];

/** The OpenAPI document of what is served. */
function documentOf(app: NestFastifyApplication): OpenAPIObject {
  const about = new DocumentBuilder()
    .setTitle('Snapledger')
    .setDescription('An event-sourced ledger for the snapshots of QEMU/KVM virtual machines')
    .setVersion('1')
    .build();
  const document = SwaggerModule.createDocument(app, about, {
    operationIdFactory: (controller, method) =>
      `${controller.replace('Controller', '').toLowerCase()}-${method}`,
  });
  const schemas = { ...document.components?.schemas, ...answerSchemas() };
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (operation) complete(operation, { path, isCommand: method !== 'get', schemas });
    }
  }
  return { ...document, components: { ...document.components, schemas } };
}

interface Place {
  readonly path: string;
  readonly isCommand: boolean;
  readonly schemas: Readonly<Record<string, object>>;
}

/** Adds what no decorator of a route says, because it is the same for all of them. */
function complete(operation: Operation, { path, isCommand, schemas }: Place): void {
  const known = operation.parameters ?? [];
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']): Parameter => idInPath(name));
  const others = known.filter((parameter) => !('in' in parameter) || parameter.in !== 'path');
  const headers = isCommand ? OF_A_COMMAND : OF_A_READ;
  operation.parameters = [...inPath, ...others, ...(path.startsWith('/v1/') ? headers : [])];
  const { requestBody: body } = operation;
  if (!body || !('content' in body)) return;
  const shape = body.content['application/json']?.schema;
  const name = shape && '$ref' in shape ? shape.$ref.slice(SCHEMA_PREFIX.length) : '';
  body.required = 'required' in (schemas[name] ?? {}); // No body is an empty one.
}

const idInPath = (name: string): Parameter => ({
  name,
  in: 'path',
  required: true,
  schema: { type: 'string', format: 'uuid' },
});

/** Serves it at `/docs`, for people, and at `/docs/openapi.json`, for programs. */
export function setUpDocs(app: NestFastifyApplication): void {
  SwaggerModule.setup('docs', app, () => documentOf(app), { jsonDocumentUrl: 'docs/openapi.json' });
}
