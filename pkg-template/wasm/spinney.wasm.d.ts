/** What bundlers make of the file: mostly its URL. */
declare const wasm: string;
export default wasm;
