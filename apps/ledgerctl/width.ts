import { stripVTControlCharacters } from 'node:util';

const PLAIN = /^[\u0020-\u007e]*$/;
const JOINER = '\u200d';
/** What only changes the character before it. */
const CHANGES = /[\p{Mark}\p{Emoji_Modifier}\u200b-\u200d]/u;
/** Characters that a terminal draws two columns wide, as far as Unicode's scripts tell. Flags are made of two halves. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]|(?!\p{Regional_Indicator})\p{Emoji_Presentation}/u;

/** Columns that a text takes on a terminal. Colours take none. */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  let before = '';
  for (const character of stripVTControlCharacters(text)) {
    width += columnsOf(character, before);
    before = character;
  }
  return width;
}

/** Node's own tables of widths are not public, and its segmenter costs 28 ms before the first character. */
function columnsOf(character: string, before: string): number {
  if (before === JOINER || CHANGES.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** The text with spaces up to a width. */
export const padded = (text: string, width: number): string =>
  text + ' '.repeat(Math.max(0, width - widthOf(text)));

/** As much of the beginning of a text without colours as fits into a width. */
export function fitted(text: string, width: number): string {
  let left = width;
  let kept = '';
  let before = '';
  for (const character of text) {
    left -= columnsOf(character, before);
    if (left < 0) return kept;
    kept += character;
    before = character;
  }
  return kept;
}
