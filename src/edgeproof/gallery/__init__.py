"""Enrolled people: their encrypted face templates, and who a new face is.

What lies in the store (SQLite by default, PostgreSQL where several devices share one gallery)

    gallery      one row: schema number, random identity, the recogniser's digest and its dimensions, the check
                 value of the master key, how long people are kept, the threshold in use, and two counters
    people       number; keyed hash of the name, to find it; name (sealed); when enrolled, when to be forgotten
    keys         one key per person, wrapped by the master key; zeros once the person was forgotten
    templates    number, person, embedding (sealed)
    crops        template, aligned picture of the face (sealed): only where the user chose to keep them
    audit        revision, time, action, person's number, who, how many; rows are added, never changed

"Sealed" is AES-256-GCM under the person's own random key with a fresh nonce; what it is bound to (associated
data) is the purpose, the schema number, the gallery's identity, the person, the template and the model's digest,
so a row that is moved, swapped or taken from another gallery or model is refused like one that was changed. A
person's key is sealed in the same way under a key derived from the master key. The master key is never in the
store and its file is refused in the same folder.

What this protects against
    - a stolen disk, backup or database without the master key: no face, no name, and no test of whether a name
      is there. What shows is how many people and templates there are, and when things were done;
    - an operator of a shared PostgreSQL server, who sees the same and can delete, but can't read, forge or
      swap templates;
    - a forgotten person coming back: `forget` overwrites the wrapped key in place. Without it even the holder
      of the master key can't open what old pages or copies may still hold. The audit log keeps the person's
      number, which was drawn from a counter and says nothing of the name or the face.

What it does not protect against
    - who reads the memory of a running process: the master key and the embeddings are there in clear;
    - who has the master key and a backup (or a server's write-ahead log) from before a person was forgotten:
      delete those too;
    - who can write the store: rows deleted, or the whole put back to an older state, are not noticed.

All writers take turns (SQLite's write lock, or PostgreSQL's lock on the one `gallery` row), so the revision grows
in the order of commits: the audit log tells every other process exactly what to read again.
"""
