"""An event stream with all that the format allows, what it says, and the page's parser at work on it.

Knows the format of server-sent events; the expectation is read off the HTML standard, section 9.2.
"""

# Comments, all line ends, fields without a value, characters of two to four bytes, an event without data.
EVENT_STREAM = (
    "\ufeff: hello\r\n\r\nid: 1\r\nevent: start\r\ndata: {}\r\n\r\n"
    "event: delta\ndata: äß€🙂\n\n: still working\n\nevent: nothing\n\ndata:no space\rdata:  two\rdata\r\r"
    "event: done\ndata: 1\n\nevent: cut\ndata: off"
).encode()
EVENTS = [["start", "{}"], ["delta", "äß€🙂"], ["message", "no space\n two\n"], ["done", "1"]]
PARSE_CUT_ANYWHERE = """
async (bytes) => {
  const { EventStreamParser } = await import("/web/event_stream.js");
  const parse = (cuts) => {
    const parser = new EventStreamParser();
    const parts = [0, ...cuts].map((start, index) => bytes.slice(start, cuts[index]));
    return parts.flatMap((part) => parser.push(new Uint8Array(part))).map(({ event, data }) => [event, data]);
  };
  const places = bytes.map((_, place) => place);
  const readings = [parse([]), parse(places)];
  for (const one of places) for (const other of places) if (one <= other) readings.push(parse([one, other]));
  return [...new Set(readings.map((reading) => JSON.stringify(reading)))].map((text) => JSON.parse(text));
}
"""
