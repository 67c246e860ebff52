/** The limits of a value; the core has the same figures. */

/** Containers in containers: `[[1]]` is 2 deep. A document is a container too. */
export const MAX_DEPTH = 64;
/** Bytes of one encoded value. */
export const MAX_BYTES = 16 * 1024 * 1024;
