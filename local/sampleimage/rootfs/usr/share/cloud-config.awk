# Splits the supported part of a cloud-config into files below the directory `out`:
# hostname, keys, users ("user<TAB>key"), runcmd (a shell script), file.N/{path,content,permissions,encoding,append}.
# Other keys are named on standard output, so that nothing is dropped in silence.

function indent(s) { match(s, /^ */); return RLENGTH }

function unquote(s,   q) {
	sub(/^[ \t]+/, "", s); sub(/[ \t]+$/, "", s)
	q = substr(s, 1, 1)
	if ((q == "\"" || q == "'") && length(s) > 1 && substr(s, length(s)) == q) s = substr(s, 2, length(s) - 2)
	if (q == "\"") { gsub(/\\"/, "\"", s); gsub(/\\n/, "\n", s); gsub(/\\\\/, "\\", s) }
	else if (q != "'") sub(/[ \t]+#.*$/, "", s)
	return s
}

# items splits a flow list [a, "b c"] into the array `part`. Commas inside quotes are not understood.
function items(s, part) {
	sub(/^[^\[]*\[/, "", s); sub(/\][ \t]*$/, "", s)
	return split(s, part, /,[ \t]*/)
}

function key_line(s) { print s >> (out "/keys") }

function value(s) { sub(/^[^:]*:[ \t]*/, "", s); return unquote(s) }

function shell_quote(s) { gsub(/'/, "'\\''", s); return "'" s "'" }

# words turns the flow list [a, "b c"] into a shell command line.
function words(s,   n, i, part, line) {
	n = items(s, part)
	for (i = 1; i <= n; i++) line = line (i > 1 ? " " : "") shell_quote(unquote(part[i]))
	return line
}

function begin_block(file, style) { block = file; block_indent = -1; folded = (style ~ /^>/); blanks = 0 }

# in_block consumes a line of a literal or folded block and says whether it belonged to one.
function in_block(line,   i) {
	if (block == "") return 0
	if (line ~ /^[ \t]*$/) { blanks++; return 1 }
	i = indent(line)
	if (block_indent < 0 && i > parent_indent) block_indent = i
	if (block_indent < 0 || i < block_indent) { close(block); block = ""; blanks = 0; return 0 }
	for (; blanks > 0; blanks--) print "" >> block
	if (folded) printf "%s ", substr(line, block_indent + 1) >> block
	else print substr(line, block_indent + 1) >> block
	return 1
}

function field(dir, line,   name, v) {
	name = line; sub(/:.*/, "", name); gsub(/[ \t-]/, "", name)
	v = value(line)
	if (name !~ /^(path|content|permissions|encoding|append|owner|defer)$/) return
	if (name == "content" && v ~ /^[|>][0-9+-]*$/) { begin_block(dir "/content", v); return }
	printf "%s", v > (dir "/" name); close(dir "/" name)
}

BEGIN { files = 0 }

in_block($0) { next }
/^[ \t]*(#|$)/ { next }
{ parent_indent = indent($0) }

/^[A-Za-z_]+:/ {
	key = $0; sub(/:.*/, "", key); user = ""
	if (key == "hostname" || key == "fqdn" && !named) { v = value($0); sub(/\..*/, "", v); printf "%s", v > (out "/hostname"); close(out "/hostname"); named = 1 }
	else if (key !~ /^(fqdn|ssh_authorized_keys|users|write_files|runcmd|disable_root|preserve_hostname|manage_etc_hosts)$/)
		print "[sample] cloud-config key " key " is not supported by the sample image"
	if (key == "ssh_authorized_keys" && /\[/) { n = items($0, part); for (i = 1; i <= n; i++) key_line(unquote(part[i])) }
	next
}

key == "ssh_authorized_keys" && /^ *- / { sub(/^ *- */, ""); key_line(unquote($0)); next }

# A list of users: "- default", "- NAME" or a map. Keys of root and of the default user are root's.
key == "users" && in_keys && /^ *- / && indent($0) >= keys_indent { sub(/^ *- */, ""); print user "\t" unquote($0) >> (out "/users"); next }
key == "users" && /^ *- / && users_indent != "" && indent($0) > users_indent { next } # a list inside a user's map
key == "users" && /^ *- / { in_keys = 0; users_indent = indent($0); sub(/- */, "  "); if ($0 !~ /:/) { user = unquote($0); if (user == "default") user = "root"; print user "\t" >> (out "/users"); next } user = "root" }
key == "users" && /^ *name:/ { in_keys = 0; user = value($0); print user "\t" >> (out "/users"); next }
key == "users" && /^ *ssh[-_]authorized[-_]keys:/ {
	in_keys = 1; keys_indent = indent($0)
	if (/\[/) { n = items($0, part); for (i = 1; i <= n; i++) print user "\t" unquote(part[i]) >> (out "/users"); in_keys = 0 }
	next
}
key == "users" { in_keys = 0; next }

key == "write_files" && /^ *- / { files++; dir = out "/file." files; system("mkdir -p " dir); sub(/- /, "  "); parent_indent = indent($0); field(dir, $0); next }
key == "write_files" && files { field(dir, $0); next }

key == "runcmd" && /^ *- *\[/ { sub(/^ *- */, ""); print words($0) >> (out "/runcmd"); next }
key == "runcmd" && /^ *- *[|>][0-9+-]*$/ { sub(/^ *- */, ""); begin_block(out "/runcmd", $0); next }
key == "runcmd" && /^ *- / { sub(/^ *- */, ""); print unquote($0) >> (out "/runcmd"); next }
