import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.OffsetDateTime;

/** PostgreSQL's JDBC driver: metadata, prepared statements past the change to binary, fetch size, an error. */
public class Jdbc {
    static int count(ResultSet rows) throws SQLException {
        int count = 0;
        while (rows.next()) {
            for (int column = 1; column <= rows.getMetaData().getColumnCount(); column++) {
                rows.getObject(column);
            }
            count++;
        }
        return count;
    }

    static void require(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://" + arguments[0] + "/headwater?user=reader&ApplicationName=jdbc&password=" + arguments[1];
        try (Connection connection = DriverManager.getConnection(url)) {
            DatabaseMetaData metadata = connection.getMetaData();
            require(count(metadata.getSchemas()) >= 1, "getSchemas");
            require(count(metadata.getCatalogs()) == 1, "getCatalogs");
            require(count(metadata.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"})) >= 1, "getTables");
            require(count(metadata.getColumns(null, "public", "vehicle", "%")) > 5, "getColumns");
            require(count(metadata.getPrimaryKeys(null, "public", "vehicle")) == 0, "getPrimaryKeys");
            require(count(metadata.getIndexInfo(null, "public", "vehicle", false, true)) == 0, "getIndexInfo");
            require(count(metadata.getImportedKeys(null, "public", "vehicle")) == 0, "getImportedKeys");
            require(count(metadata.getTypeInfo()) > 10, "getTypeInfo");
            count(metadata.getFunctions(null, null, "%"));
            metadata.getSQLKeywords();
            String text = "select entity_id, event_time, vehicle_speed_kmh, brake_status from vehicle"
                + " where event_time > ? and entity_id = ? and vehicle_speed_kmh > ? order by 2";
            try (PreparedStatement statement = connection.prepareStatement(text)) {
                for (int time = 0; time < 7; time++) {
                    statement.setTimestamp(1, new Timestamp(0));
                    statement.setString(2, "veh-1");
                    statement.setDouble(3, 1);
                    try (ResultSet rows = statement.executeQuery()) {
                        require(rows.next() && rows.getDouble(3) == 10.5, "speed");
                        require(rows.getObject(2, OffsetDateTime.class) != null && !rows.getBoolean(4), "time");
                        require(rows.next() && !rows.next(), "two rows");
                    }
                }
            }
            try (PreparedStatement statement = connection.prepareStatement("select gear from vehicle where entity_id = any(?)")) {
                Array entities = connection.createArrayOf("text", new String[] {"veh-1", "veh-2"});
                statement.setArray(1, entities);
                require(count(statement.executeQuery()) == 4, "any");
            }
            connection.setReadOnly(true);
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(2);
                require(count(statement.executeQuery("select * from vehicle")) == 6, "fetch size");
            }
            connection.commit();
            connection.setAutoCommit(true);
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("select sped from vehicle");
                throw new IllegalStateException("an unknown column was answered");
            } catch (SQLException error) {
                require("42703".equals(error.getSQLState()), error.toString());
            }
        }
        System.out.println("metadata, prepared, arrays, fetch size, errors");
    }
}
