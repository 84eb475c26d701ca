import { spaced } from '../i18n.js';

/** A sentence that the server made: what it puts into `marks` is code. */
export const Said = ({ text }) => (text ?? '').split('`').map((part, i) => (i % 2 ? <code key={i}>{part}</code> : spaced(part)));
