// SPDX-License-Identifier: GPL-2.0-only
// Reads the header of a GGUF file again and again with @huggingface/gguf:
//
//   node gguf_parse.mjs MODULE FILE RUNS
//
// Prints the median time, what was found, and by how much resident memory has grown.
import {pathToFileURL} from "node:url";

const [module, file, runs] = process.argv.slice(2);
const {gguf} = await import(pathToFileURL(module));
const before = process.memoryUsage().rss;
const times = [];
let found;

for (let i = 0; i < Number(runs); i++) {
	const begin = performance.now();
	found = await gguf(file, {allowLocalFile: true});
	times.push(performance.now() - begin);
}
times.sort((a, b) => a - b);
console.log(JSON.stringify({
	ms: times[times.length >> 1],
	n_tensors: found.tensorInfos.length,
	// It counts version, tensors and keys as three more keys.
	n_kv: Object.keys(found.metadata).length - 3,
	tokens: found.metadata["tokenizer.ggml.tokens"].length,
	rss_kib: Math.round((process.memoryUsage().rss - before) / 1024),
}));
