/** Layers of drivers between a format and its file. QEMU's own graphs have two or three. */
const LAYERS_MAX = 8;

const BLKDEBUG = /^blkdebug:[^:]*:/; // `blkdebug:CONFIG:FILE`, the configuration usually empty.
const JSON_PREFIX = 'json:';

/**
 * The file at the bottom of a QEMU file name. QEMU writes `json:{…}` where a plain name would not say everything,
 * and leads us through the layers (`file`, a filter's `image`) but never into the backing chain. A name in which
 * no file can be found is given back as it is.
 */
export function fileNameOf(name: string): string {
  const plain = name.replace(BLKDEBUG, '');
  if (!plain.startsWith(JSON_PREFIX)) return plain;
  return innermost(layersOf(plain.slice(JSON_PREFIX.length))) ?? name;
}

function layersOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null; // The caller falls back to the name as QEMU gave it.
  }
}

function innermost(layers: unknown): string | null {
  let layer = layers;
  for (let depth = 0; depth < LAYERS_MAX; depth++) {
    if (!isLayer(layer)) return null;
    const file = layer['filename'] ?? layer['file.filename'];
    if (typeof file === 'string') return fileNameOf(file);
    layer = layer['file'] ?? layer['image'];
  }
  return null;
}

const isLayer = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
